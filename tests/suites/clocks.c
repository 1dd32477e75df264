/* Lets a process have another time of day: WRONG_BY seconds are added. What durations are measured by stays right. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*right_clock)(clockid_t, struct timespec *);
static long wrong_by;

/* Once, before any thread: reading the environment later would race with who changes it. */
__attribute__((constructor)) static void begin(void) {
    const char *told = getenv("WRONG_BY");
    right_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    wrong_by = told ? atol(told) : 0;
}

int clock_gettime(clockid_t which, struct timespec *when) {
    if (!right_clock)
        begin();
    int failed = right_clock(which, when);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        when->tv_sec += wrong_by;
    return failed;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *when) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    if (when)
        *when = now.tv_sec;
    return now.tv_sec;
}
