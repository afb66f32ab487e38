#!/bin/sh
# A sampler that behaves as the PCI address of its first device says. It reads nothing.
read -r job
say() { echo "{\"$1\":[\"$2\",$3]}"; }
case "$job" in
*'"address":"0000:01:00.0"'*)
    # Speaks, then hangs and ignores whatever asks it to end.
    say source slow '{"Ok":"NVML"}'
    say reading slow '{"power_w":100.0}'
    trap '' TERM INT HUP
    exec sleep 600
    ;;
*'"address":"0000:02:00.0"'*)
    # Twenty words a second for as long as somebody listens.
    say source slow '{"Ok":"NVML"}'
    while say reading slow '{"power_w":300.0,"throttle":["sw-power-cap"]}' 2>/dev/null; do sleep 0.05; done
    ;;
*'"address":"0000:03:00.0"'*)
    say source slow '{"Err":"opening libnvidia-ml.so.1: not there"}'
    ;;
esac
