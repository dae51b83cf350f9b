/* Measures one thing about one init, once, and prints it as `name=value` words.

     gauge MEASURE N [--service] INIT ARG...

   The init becomes PID 1 of fresh pid and mount namespaces. Its command is this program again (`gauge child`),
   appended to its arguments, or with --service started by the init's own configuration. Both sides share one
   file (GAUGE_FILE, inherited through the environment) and the monotonic clock. With GAUGE_PORT the command listens
   there, as a worker whose readiness is asked for does.

     start    exec of the init to main of the command, and to the exit of the init (microseconds)
     memory   resident and proportional set of every process but the command, three seconds after it runs (KiB)
     idle     context switches of every process but the command in N seconds
     orphans  N orphans one after the other: reaped per second, CPU time of the init per orphan (nanoseconds), its
              resident set afterwards (KiB); an init that needs more than 20 s is measured by what it did in them
     storm    the same with 8 forking processes at once
     zombies  N zombies that wait for a stopped init: from its CONT until the last is gone (microseconds)
     signal   N signals to the init: median until the command's handler (nanoseconds)
     restart  N kills of the command: median until it runs again (microseconds; only with --service)
     stop     TERM to the init until its exit, with a command that obeys (microseconds)
     stubborn TERM to the init until its exit, with a command that ignores it: how much later than N milliseconds
              of grace (microseconds)
     fleet    N services in one configuration: exec of the init until the last one runs, kill of one until it
              runs again, TERM until the exit (microseconds); its proportional set, and its context switches in
              5 seconds, both without the services (KiB)
     http     exec of the init until GET / on 127.0.0.1:N answers 200 (microseconds) */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
    char measure[16];
    int n;
    _Atomic int ready, go, done, command, left;
    _Atomic uint64_t started, ended, got;
    _Atomic uint64_t starts;
};
static struct shared *shared;
static char path[64], self[4096];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static void pause_us(long us) {
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}
static void fail(const char *what) {
    fprintf(stderr, "gauge: %s: %s\n", what, strerror(errno));
    exit(1);
}
/* Waits for a flag of the other side; 90 s are no measure, only the end of hope. */
static void await(_Atomic int *flag, int wanted, const char *what) {
    uint64_t start = now();
    while (atomic_load(flag) < wanted) {
        if (now() - start > 90000000000u) { errno = ETIMEDOUT; fail(what); }
        pause_us(50);
    }
}
static void map(int flags) {
    int fd = open(path, flags, 0666);
    if (fd < 0 || ftruncate(fd, 4096) != 0) fail(path);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) fail("mmap");
    close(fd);
}

/* ---- the command ---- */

static void orphan(void) {
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) _exit(0);
        _exit(0);
    }
    waitpid(middle, NULL, 0);
}
static int processes(void) {
    DIR *proc = opendir("/proc");
    int count = 0;
    for (struct dirent *e; proc && (e = readdir(proc));) count += atoi(e->d_name) > 0;
    if (proc) closedir(proc);
    return count;
}
/* Until no more processes are left, dead or alive, than there were; how many more after 20 s. A namespace with nobody
   but us and PID 1 is seen at once, one with an init of several processes has to be counted. */
static int until_alone(int before) {
    uint64_t start = now();
    while (kill(-1, 0) == 0 || errno != ESRCH) {
        int more = before > 2 ? processes() - before : 1;
        if (more <= 0) break;
        if (now() - start > 20000000000u) return before > 2 ? more : processes() - before;
        pause_us(before > 2 ? 1000 : 100);
    }
    return 0;
}
static void handler(int signal) {
    (void)signal;
    atomic_store(&shared->got, now());
}
static int child(void) {
    uint64_t start = now();
    snprintf(path, sizeof path, "%s", getenv("GAUGE_FILE") ? getenv("GAUGE_FILE") : "");
    map(O_RDWR);
    shared->started = start;
    const char *measure = shared->measure;
    if (strcmp(measure, "start") == 0) {
        atomic_store(&shared->ready, 1);
        return 0;
    }
    if (getenv("GAUGE_PORT")) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(getenv("GAUGE_PORT"))),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) fail("listen");
    }
    signal(SIGUSR1, handler);
    if (strcmp(measure, "stubborn") == 0) signal(SIGTERM, SIG_IGN);
    shared->command = getpid();
    atomic_fetch_add(&shared->starts, 1);
    atomic_store(&shared->ready, 1);
    int before = processes();
    if (strcmp(measure, "orphans") == 0) {
        await(&shared->go, 1, "go");
        start = now();
        for (int i = 0; i < shared->n; i++) orphan();
        shared->left = until_alone(before);
        shared->ended = now() - start;
        atomic_store(&shared->done, 1);
    } else if (strcmp(measure, "storm") == 0) {
        await(&shared->go, 1, "go");
        start = now();
        pid_t workers[8];
        for (int w = 0; w < 8; w++)
            if ((workers[w] = fork()) == 0) {
                for (int i = 0; i < shared->n / 8; i++) orphan();
                _exit(0);
            }
        for (int w = 0; w < 8; w++) waitpid(workers[w], NULL, 0);
        shared->left = until_alone(before);
        shared->ended = now() - start;
        atomic_store(&shared->done, 1);
    } else if (strcmp(measure, "zombies") == 0) {
        await(&shared->go, 1, "go");
        for (int i = 0; i < shared->n; i++) orphan();
        start = now();
        /* The last to be adopted is the last to be reaped: its pid, by a pipe. */
        int ends[2], last = 0;
        if (pipe(ends) != 0) fail("pipe");
        pid_t middle = fork();
        if (middle == 0) {
            pid_t pid = fork();
            if (pid == 0) _exit(0);
            if (write(ends[1], &pid, sizeof pid) < 0) _exit(1);
            _exit(0);
        }
        if (read(ends[0], &last, sizeof last) < 0) fail("read");
        waitpid(middle, NULL, 0);
        atomic_store(&shared->done, 1);
        await(&shared->go, 2, "go");
        while (kill(last, 0) == 0 && now() - start < 60000000000u) {}
        shared->ended = now();
        shared->left = until_alone(before);
        atomic_store(&shared->done, 2);
    }
    for (;;) pause();
}

/* ---- outside ---- */

static pid_t start_init(char **argv) {
    long pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0) fail("clone (root is needed)");
    if (pid == 0) {
        sigset_t none;
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
        mount("proc", "/proc", "proc", 0, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int s = 1; s < 65; s++) signal(s, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        shared->ended = now();
        execvp(argv[0], argv);
        _exit(99);
    }
    return (pid_t)pid;
}
static long field(pid_t pid, const char *file, const char *name) {
    char at[64], line[256];
    long value = -1;
    snprintf(at, sizeof at, "/proc/%d/%s", pid, file);
    FILE *f = fopen(at, "r");
    if (!f) return -1;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) { value = atol(line + strlen(name)); break; }
    fclose(f);
    return value;
}
static long cpu(pid_t pid) {
    char at[64];
    long ns = -1;
    snprintf(at, sizeof at, "/proc/%d/schedstat", pid);
    FILE *f = fopen(at, "r");
    if (f) { if (fscanf(f, "%ld", &ns) != 1) ns = -1; fclose(f); }
    return ns;
}
/* Calls f for every process of the init's namespace but the command. */
static int each(pid_t init, void (*f)(pid_t, void *), void *data) {
    char at[64], ours[64], theirs[64], line[256];
    ssize_t n;
    int count = 0;
    snprintf(at, sizeof at, "/proc/%d/ns/pid", init);
    if ((n = readlink(at, ours, 63)) < 0) return 0;
    ours[n] = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; (e = readdir(proc));) {
        pid_t pid = atoi(e->d_name);
        if (pid <= 0) continue;
        snprintf(at, sizeof at, "/proc/%d/ns/pid", pid);
        if ((n = readlink(at, theirs, 63)) < 0) continue;
        theirs[n] = 0;
        if (strcmp(ours, theirs) != 0) continue;
        snprintf(at, sizeof at, "/proc/%d/status", pid);
        FILE *status = fopen(at, "r");
        int inner = 0;
        while (status && fgets(line, sizeof line, status))
            if (strncmp(line, "NSpid:", 6) == 0) inner = atoi(strrchr(line, '\t') ? strrchr(line, '\t') : line + 6);
        if (status) fclose(status);
        if (inner == shared->command) continue;
        f(pid, data);
        count++;
    }
    closedir(proc);
    return count;
}
/* Those that are not the command, of which a fleet has many. */
static int is_child(pid_t pid) {
    char at[64], line[4200];
    snprintf(at, sizeof at, "/proc/%d/cmdline", pid);
    FILE *f = fopen(at, "r");
    size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f) fclose(f);
    line[n] = 0;
    return n > strlen(self) + 1 && strcmp(line, self) == 0 && strcmp(line + strlen(self) + 1, "child") == 0;
}
static void add_fleet(pid_t pid, void *data) {
    long *sum = data;
    if (is_child(pid)) return;
    sum[0] += field(pid, "smaps_rollup", "Pss:");
    sum[1] += field(pid, "status", "voluntary_ctxt_switches:") + field(pid, "status", "nonvoluntary_ctxt_switches:");
}
static void add_memory(pid_t pid, void *data) {
    long *sum = data;
    sum[0] += field(pid, "smaps_rollup", "Rss:");
    sum[1] += field(pid, "smaps_rollup", "Pss:");
}
static void add_switches(pid_t pid, void *data) {
    *(long *)data += field(pid, "status", "voluntary_ctxt_switches:") + field(pid, "status", "nonvoluntary_ctxt_switches:");
}
static int by_value(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}
static pid_t outer_of_command(pid_t init) {
    char line[256], at[64];
    DIR *proc = opendir("/proc");
    pid_t found = -1;
    (void)init;
    for (struct dirent *e; found < 0 && (e = readdir(proc));) {
        pid_t pid = atoi(e->d_name);
        if (pid <= 0) continue;
        snprintf(at, sizeof at, "/proc/%d/cmdline", pid);
        FILE *f = fopen(at, "r");
        size_t n = f ? fread(line, 1, 255, f) : 0;
        if (f) fclose(f);
        line[n] = 0;
        if (n && strcmp(line, self) == 0 && n > strlen(line) + 1 && strcmp(line + strlen(line) + 1, "child") == 0) {
            snprintf(at, sizeof at, "/proc/%d/environ", pid);
            char env[65536];
            f = fopen(at, "r");
            n = f ? fread(env, 1, sizeof env, f) : 0;
            if (f) fclose(f);
            if (memmem(env, n, path, strlen(path))) found = pid;
        }
    }
    closedir(proc);
    return found;
}

static int answers(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const char *ask = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char head[16] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fine = connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && write(fd, ask, strlen(ask)) > 0 &&
               read(fd, head, 15) > 0 && strstr(head, " 200") != NULL;
    close(fd);
    return fine;
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "child") == 0) return child();
    if (argc < 4) { fprintf(stderr, "usage: gauge MEASURE N [--service] INIT ARG...\n"); return 2; }
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len > 0) self[len] = 0;
    int service = strcmp(argv[3], "--service") == 0;
    snprintf(path, sizeof path, "/tmp/gauge.%d", getpid());
    setenv("GAUGE_FILE", path, 1);
    map(O_RDWR | O_CREAT | O_TRUNC);
    snprintf(shared->measure, sizeof shared->measure, "%s", argv[1]);
    shared->n = atoi(argv[2]);
    const char *measure = argv[1];
    char **words = calloc((size_t)argc + 4, sizeof *words);
    int count = 0;
    for (int i = 3 + service; i < argc; i++) words[count++] = argv[i];
    if (!service) { words[count++] = self; words[count++] = "child"; }

    int status = 0, ended = 0;
    pid_t init = start_init(words);
    if (strcmp(measure, "start") == 0 && !service) {
        waitpid(init, &status, 0);
        uint64_t end = now();
        if (!shared->started) { errno = ECHILD; fail("the command never ran"); }
        printf("child_us=%.1f exit_us=%.1f code=%d\n", (shared->started - shared->ended) / 1e3,
               (end - shared->ended) / 1e3, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        unlink(path);
        return 0;
    }
    if (strcmp(measure, "http") == 0) {
        uint64_t begin = now();
        while (!answers(shared->n) && now() - begin < 60000000000u) pause_us(200);
        printf("http_us=%.0f\n", (now() - shared->ended) / 1e3);
        kill(init, SIGKILL);
        waitpid(init, &status, 0);
        unlink(path);
        return 0;
    }
    uint64_t exec_at = 0;
    await(&shared->ready, 1, "the command");
    exec_at = shared->ended;
    if (strcmp(measure, "start") == 0) {
        printf("child_us=%.1f\n", (shared->started - exec_at) / 1e3);
    } else if (strcmp(measure, "memory") == 0) {
        long sum[2] = {0, 0};
        pause_us(3000000);
        int count = each(init, add_memory, sum);
        printf("rss_kib=%ld pss_kib=%ld processes=%d\n", sum[0], sum[1], count);
    } else if (strcmp(measure, "idle") == 0) {
        long before = 0, after = 0;
        pause_us(2000000);
        each(init, add_switches, &before);
        sleep((unsigned)shared->n);
        each(init, add_switches, &after);
        printf("wakeups=%ld\n", after - before);
    } else if (strcmp(measure, "orphans") == 0 || strcmp(measure, "storm") == 0) {
        long before = cpu(init);
        atomic_store(&shared->go, 1);
        await(&shared->done, 1, "orphans");
        int reaped = shared->n > shared->left ? shared->n - shared->left : 1;
        printf("per_second=%.0f cpu_ns=%ld rss_kib=%ld left=%d\n", reaped * 1e9 / (double)shared->ended,
               (cpu(init) - before) / reaped, field(init, "smaps_rollup", "Rss:"), shared->left);
    } else if (strcmp(measure, "zombies") == 0) {
        kill(init, SIGSTOP);
        waitpid(init, &status, WUNTRACED);
        atomic_store(&shared->go, 1);
        await(&shared->done, 1, "zombies");
        uint64_t start = now();
        atomic_store(&shared->go, 2);
        kill(init, SIGCONT);
        await(&shared->done, 2, "drain");
        printf("drain_us=%.0f left=%d\n", (shared->ended - start) / 1e3, shared->left);
    } else if (strcmp(measure, "signal") == 0) {
        long *took = calloc((size_t)shared->n, sizeof *took);
        int seen = 0;
        for (int i = 0; i < shared->n; i++) {
            atomic_store(&shared->got, 0);
            pause_us(2000);
            uint64_t start = now();
            kill(init, SIGUSR1);
            while (!atomic_load(&shared->got) && now() - start < 200000000u) {}
            if (!shared->got) break;
            took[seen++] = (long)(shared->got - start);
        }
        qsort(took, (size_t)seen, sizeof *took, by_value);
        if (seen == shared->n) printf("signal_ns=%ld\n", took[seen / 2]); else printf("signal_ns=-1\n");
    } else if (strcmp(measure, "restart") == 0) {
        long *took = calloc((size_t)shared->n, sizeof *took);
        for (int i = 0; i < shared->n; i++) {
            uint64_t starts = shared->starts;
            pid_t command = outer_of_command(init);
            pause_us(20000);
            uint64_t start = now();
            kill(command, SIGKILL);
            while (shared->starts == starts && now() - start < 10000000000u) pause_us(20);
            took[i] = (long)(shared->started - start);
            pause_us(20000);
        }
        qsort(took, (size_t)shared->n, sizeof *took, by_value);
        printf("restart_us=%.0f\n", took[shared->n / 2] / 1e3);
    } else if (strcmp(measure, "fleet") == 0) {
        uint64_t wanted = (uint64_t)shared->n;
        while (shared->starts < wanted && now() - exec_at < 60000000000u) pause_us(100);
        if (shared->starts < wanted) { errno = ETIME; fail("not every service runs"); }
        uint64_t started = shared->started - exec_at;
        long before[2] = {0, 0}, after[2] = {0, 0};
        pause_us(3000000);
        each(init, add_fleet, before);
        sleep(5);
        each(init, add_fleet, after);
        pid_t one = outer_of_command(init);
        uint64_t start = now();
        kill(one, SIGKILL);
        while (shared->starts == wanted && now() - start < 10000000000u) pause_us(20);
        if (shared->starts == wanted) { errno = ETIME; fail("the killed service does not run again"); }
        uint64_t again = shared->started - start;
        pause_us(300000);
        start = now();
        kill(init, SIGTERM);
        while (waitpid(init, &status, WNOHANG) == 0 && now() - start < 60000000000u) pause_us(50);
        printf("start_us=%.0f restart_us=%.0f stop_us=%.0f pss_kib=%ld wakeups=%ld code=%d\n", started / 1e3, again / 1e3,
               (now() - start) / 1e3, after[0], after[1] - before[1],
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        ended = 1;
    } else if (strcmp(measure, "stop") == 0 || strcmp(measure, "stubborn") == 0) {
        pause_us(100000);
        uint64_t start = now(), grace = strcmp(measure, "stubborn") == 0 ? shared->n * 1000000u : 0;
        kill(init, SIGTERM);
        while (waitpid(init, &status, WNOHANG) == 0 && now() - start < 20000000000u) pause_us(20);
        printf("stop_us=%.0f code=%d\n", ((double)(now() - start) - grace) / 1e3, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        ended = 1;
    } else {
        fprintf(stderr, "gauge: no measure %s\n", measure);
    }
    if (!ended) {
        kill(init, SIGKILL);
        waitpid(init, &status, 0);
    }
    unlink(path);
    return 0;
}
