#!/bin/sh
# A worker that behaves as the name of its device says. It computes nothing.
read -r job
started() { echo "{\"started\":\"$1\"}"; }
pid() { echo "{\"progress\":[\"digest\",$$]}"; }
# check, device, outcome, coverage
finished() {
    echo "{\"finished\":{\"check\":\"$1\",\"subject\":{\"device\":\"$2\"},\"outcome\":\"$3\",\"coverage\":[$4],\"took_s\":0.1}}"
}
covered='{"quantity":"workgroups","achieved":5.0}'
passes() {
    for check in digest fp32 stream; do
        started "$check"
        finished "$check" "$1" pass "$covered"
    done
}
case "$job" in
*'"device":"good"'*) passes good ;;
*'"device":"slow"'*)
    for check in digest fp32 stream; do
        started "$check"
        sleep 0.4
        finished "$check" slow pass "$covered"
    done
    ;;
*'"device":"chatty"'*)
    printf 'driver: hello\n\n{"started":\n{"finished":{}}\n\033[2J\377\376\n[]\n'
    passes chatty
    ;;
*'"device":"silent"'*) ;;
*'"device":"early"'*)
    started digest
    exit 3
    ;;
*'"device":"dishonest"'*)
    # On a device that is not its own, of a check that nobody planned, of a check whose turn has not come.
    started digest
    finished digest good fail
    finished nonsense dishonest pass "$covered"
    finished stream dishonest pass "$covered"
    finished digest dishonest pass "$covered"
    ;;
*'"device":"boastful"'*)
    started digest
    finished digest boastful pass
    ;;
*'"device":"endless"'*)
    started digest
    head -c 6000000 /dev/zero | tr '\0' x
    exec sleep 600
    ;;
*'"device":"stubborn"'*)
    started digest
    pid
    trap '' TERM INT
    exec sleep 600
    ;;
*'"device":"restarting"'*)
    started digest
    pid
    while :; do
        started digest
        sleep 0.1
    done
    ;;
esac
