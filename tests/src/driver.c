/* A Vulkan driver that goes wrong as soon as the loader speaks to it. One of CRASH, HANG or EAT is defined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first function of a driver that the loader calls (LoaderDriverInterface.md, "Driver Interface Versions"). */
int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version)
{
	(void)version;
#if defined(CRASH)
	abort();
#elif defined(HANG)
	for (;;)
		pause();
#elif defined(EAT)
	for (;;) {
		void *block = malloc(1 << 20);
		if (block)
			memset(block, 1, 1 << 20);
	}
#else
#error "name what goes wrong"
#endif
}

void *vk_icdGetInstanceProcAddr(void *instance, const char *name)
{
	(void)instance;
	(void)name;
	return 0;
}
