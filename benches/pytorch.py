"""What PyTorch reaches on the first GPU, beside our figures: matrix products through cuBLAS and copies.

Prints one JSON document. Median of windows of about a tenth of a second, random operands, after a second of warm-up.
"""

import json
import statistics
import time

import torch


def windows(work, per_call, seconds=3.0):
    """Rates of windows; `work` is called so often that a window takes a tenth of a second."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        work()
    torch.cuda.synchronize()
    start = time.monotonic()
    work()
    torch.cuda.synchronize()
    calls = max(1, round(0.1 / max(time.monotonic() - start, 1e-6)))
    rates = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin, finish = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(calls):
            work()
        finish.record()
        finish.synchronize()
        rates.append(per_call * calls / (begin.elapsed_time(finish) * 1e-3))
    return {"median_per_s": statistics.median(rates), "worst_per_s": min(rates), "windows": len(rates)}


def product(kind, size=8192):
    a = torch.randn(size, size, device="cuda").to(kind)
    b = torch.randn(size, size, device="cuda").to(kind)
    out = torch.empty(size, size, device="cuda", dtype=kind)
    return windows(lambda: torch.matmul(a, b, out=out), 2 * size**3)


def copy(size=4 << 30):
    source = torch.randint(0, 255, (size,), device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    return windows(lambda: target.copy_(source), 2 * size)


def transfer(to_device, size=1 << 30):
    host = torch.empty(size, dtype=torch.uint8).pin_memory()
    device = torch.empty(size, device="cuda", dtype=torch.uint8)
    target, source = (device, host) if to_device else (host, device)
    return windows(lambda: target.copy_(source, non_blocking=True), size)


print(json.dumps({
    "device": torch.cuda.get_device_name(),
    "torch": torch.__version__,
    "cuda": torch.version.cuda,
    "product_fp16": product(torch.float16),
    "product_bf16": product(torch.bfloat16),
    "product_fp32": product(torch.float32, 4096),
    "copy": copy(),
    "host_to_device": transfer(True),
    "device_to_host": transfer(False),
}, indent=2))
