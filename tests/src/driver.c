/* A Vulkan driver that goes wrong as soon as the loader speaks to it. One of CRASH, HANG, EAT or FREEZE is defined. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(FREEZE)
static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		abort();
	close(file);
}
#endif

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
#elif defined(FREEZE)
	/* The first process of the machine; the kernel refuses to stop it by a signal, and does not refuse this. */
	mkdir("/sys/fs/cgroup/frozen", 0755);
	put("/sys/fs/cgroup/frozen/cgroup.procs", "1");
	put("/sys/fs/cgroup/frozen/cgroup.freeze", "1");
	for (;;)
		pause();
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
