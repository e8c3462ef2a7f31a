/* fastsink: takes mail as fast as it comes, keeps none, counts.  One thread, one epoll.
 *
 *     fastsink [--delay-ms N] [--service-ms N] [--rate N] [--log FILE] [--no-chunking] [--no-pipelining] [PORT]
 *
 * Listens on 127.0.0.1 and prints its port.  Speaks EHLO, HELO, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT and
 * offers PIPELINING (RFC 2920), CHUNKING (RFC 3030), 8BITMIME, SMTPUTF8, SIZE.  With --delay-ms every answer
 * leaves so much later: what a client on a line of that round trip sees, whatever it sends ahead.  With --service-ms
 * every connection takes so long over each message, one after the other, however many connections there are; with
 * --rate all of them together take so many a second: a server that works, at no cost in computing here.  --log
 * gets a line for every recipient: the microsecond (of CLOCK_MONOTONIC) at which the 250 leaves, the number of the
 * connection, the address.  SIGUSR1 makes it print its counts, one line; SIGTERM does so too and ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 4096, READ = 1 << 18, EVENTS = 256, REPLY = 128 };

struct reply {
    struct reply *next;
    long due; /* microseconds */
    size_t size;
    char text[];
};

struct session {
    int fd, in_mail, recipients, in_data, last_chunk, is_closing, wants_write;
    unsigned long number;
    long busy_until; /* when the message before the next is done with */
    unsigned long chunk; /* bytes of the BDAT chunk that are still to come */
    size_t line_size, tail_size;
    char line[LINE], tail[4]; /* an unfinished command; the last bytes of a message */
    size_t to_size;
    char to[LINE]; /* the recipients of this message, a line each */
    struct reply *first, *last;
    struct session *next_waiting;
    int is_waiting;
};

static unsigned long messages, bytes, recipients, connections, errors;
static long delay_us, service_us, gap_us, all_busy_until; /* gap: between any two messages */
static FILE *list;
static int offers_chunking = 1, offers_pipelining = 1, poll_fd;
static char block[READ], out[1 << 16];
static size_t out_size;
static struct session *waiting; /* those with answers that are not due yet */

static long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* ---- answers: gathered while one read is worked on, then sent together */

static void say(const char *text) {
    size_t size = strlen(text);
    if (out_size + size <= sizeof out) {
        memcpy(out + out_size, text, size);
        out_size += size;
    }
}

static void refuse(const char *text) {
    errors++;
    say(text);
}

static void watch(struct session *s, int wants_write) {
    if (s->wants_write == wants_write) return;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = s};
    s->wants_write = wants_write;
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

static void keep(struct session *s, const char *text, size_t size, long due) {
    struct reply *reply = malloc(sizeof *reply + size);
    if (!reply) die("malloc");
    reply->next = NULL;
    reply->due = due;
    reply->size = size;
    memcpy(reply->text, text, size);
    if (s->last) s->last->next = reply;
    else s->first = reply;
    s->last = reply;
    if (due && !s->is_waiting) {
        s->is_waiting = 1;
        s->next_waiting = waiting;
        waiting = s;
    }
}

/* Sends what is due; -1 if the session is over. */
static int send_due(struct session *s, long now) {
    while (s->first && s->first->due <= now) {
        struct reply *reply = s->first;
        ssize_t sent = send(s->fd, reply->text, reply->size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return -1;
        if (sent < 0 || (size_t)sent < reply->size) {
            if (sent > 0) memmove(reply->text, reply->text + sent, reply->size -= (size_t)sent);
            watch(s, 1);
            return 0;
        }
        s->first = reply->next;
        if (!s->first) s->last = NULL;
        free(reply);
    }
    watch(s, 0);
    return s->is_closing && !s->first ? -1 : 0;
}

static int flush_out(struct session *s) {
    if (!out_size) return s->is_closing && !s->first ? -1 : 0;
    size_t size = out_size;
    out_size = 0;
    if (delay_us) {
        keep(s, out, size, now_us() + delay_us);
        return 0;
    }
    if (!s->first) {
        ssize_t sent = send(s->fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == (ssize_t)size) return s->is_closing ? -1 : 0;
        if (sent < 0 && errno != EAGAIN) return -1;
        if (sent < 0) sent = 0;
        keep(s, out + sent, size - (size_t)sent, 0);
    } else {
        keep(s, out, size, 0);
    }
    return send_due(s, now_us());
}

/* ---- commands */

static void forget(struct session *s) {
    s->in_mail = s->recipients = 0;
    s->to_size = 0;
}

/* Notes whom a message goes to; 0 if there are too many. */
static int note(struct session *s, const char *path) {
    const char *end = strchr(path, '>');
    size_t size = end ? (size_t)(end - path) : strlen(path);
    if (s->to_size + size + 1 > sizeof s->to) return 0;
    memcpy(s->to + s->to_size, path, size);
    s->to_size += size;
    s->to[s->to_size++] = '\n';
    return 1;
}

/* When the answer to a message that is here now may leave. */
static long done_at(struct session *s) {
    long due = now_us();
    if (service_us) due = (due > s->busy_until ? due : s->busy_until) + service_us;
    if (gap_us) {
        long turn = all_busy_until + gap_us;
        all_busy_until = turn > due ? turn : due;
        due = all_busy_until;
    }
    return s->busy_until = due;
}

static void taken(struct session *s) {
    static const char answer[] = "250 2.0.0 taken\r\n";
    long due = done_at(s);
    messages++;
    recipients += (unsigned long)s->recipients;
    if (list) {
        for (char *at = s->to, *end; (end = memchr(at, '\n', s->to_size - (size_t)(at - s->to))); at = end + 1)
            fprintf(list, "%ld %lu %.*s\n", due + delay_us, s->number, (int)(end - at), at);
    }
    forget(s);
    if (!service_us && !gap_us) {
        say(answer);
        return;
    }
    /* What was said before it goes first, what is said after it waits for it. */
    if (out_size) keep(s, out, out_size, now_us() + delay_us);
    out_size = 0;
    keep(s, answer, sizeof answer - 1, due + delay_us);
}

static void end_chunk(struct session *s) {
    if (s->last_chunk < 0) { /* a chunk that nobody asked for was read and thrown away */
        refuse("503 5.5.1 no valid recipients\r\n");
    } else if (s->last_chunk) {
        taken(s);
    } else {
        say("250 2.0.0 go on\r\n");
    }
}

static void bdat(struct session *s, char *rest) {
    char *end;
    unsigned long size = strtoul(rest, &end, 10);
    if (end == rest || (*end && strncasecmp(end, " LAST", 5))) {
        refuse("501 5.5.4 BDAT SIZE [LAST]\r\n");
        s->is_closing = 1; /* how much to throw away is not known */
        return;
    }
    s->chunk = size;
    s->last_chunk = !s->recipients ? -1 : *end != 0;
    if (!size) end_chunk(s);
}

static void command(struct session *s, char *line) {
    if (!strncasecmp(line, "EHLO", 4)) {
        forget(s);
        say("250-fastsink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 104857600\r\n");
        if (offers_pipelining) say("250-PIPELINING\r\n");
        if (offers_chunking) say("250-CHUNKING\r\n");
        say("250 ENHANCEDSTATUSCODES\r\n");
    } else if (!strncasecmp(line, "HELO", 4)) {
        forget(s);
        say("250 fastsink\r\n");
    } else if (!strncasecmp(line, "MAIL FROM:", 10)) {
        if (s->in_mail) {
            refuse("503 5.5.1 one after the other\r\n");
            return;
        }
        s->in_mail = 1;
        say("250 2.1.0 fine\r\n");
    } else if (!strncasecmp(line, "RCPT TO:", 8)) {
        if (!s->in_mail) {
            refuse("503 5.5.1 MAIL first\r\n");
            return;
        }
        const char *path = line + 8 + strspn(line + 8, " ");
        if (!note(s, path + (*path == '<'))) {
            refuse("452 4.5.3 too many recipients\r\n");
            return;
        }
        s->recipients++;
        say("250 2.1.5 fine\r\n");
    } else if (!strcasecmp(line, "DATA")) {
        if (!s->recipients) {
            refuse("503 5.5.1 RCPT first\r\n");
            return;
        }
        s->in_data = 1;
        memcpy(s->tail, "\r\n", s->tail_size = 2); /* a message may be empty */
        say("354 go\r\n");
    } else if (!strncasecmp(line, "BDAT ", 5) && offers_chunking) {
        bdat(s, line + 5);
    } else if (!strcasecmp(line, "RSET")) {
        forget(s);
        say("250 2.0.0 forgotten\r\n");
    } else if (!strcasecmp(line, "NOOP")) {
        say("250 2.0.0 fine\r\n");
    } else if (!strcasecmp(line, "QUIT")) {
        s->is_closing = 1;
        say("221 2.0.0 bye\r\n");
    } else {
        refuse("500 5.5.2 what?\r\n");
    }
}

/* ---- what was read */

/* Bytes of the message in data, its end included; sets in_data to 0 at the end. */
static size_t message_bytes(struct session *s, const char *data, size_t size) {
    static const char end[] = "\r\n.\r\n";
    char seam[8];
    size_t head = size < 4 ? size : 4, kept = s->tail_size;
    memcpy(seam, s->tail, kept);
    memcpy(seam + kept, data, head);
    const char *found = memmem(seam, kept + head, end, 5);
    if (found && (size_t)(found - seam) + 5 > kept) {
        s->in_data = 0;
        return (size_t)(found - seam) + 5 - kept;
    }
    for (const char *at = data; (at = memchr(at, '.', size - (size_t)(at - data))); at++) {
        size_t place = (size_t)(at - data);
        if (place >= 2 && size - place >= 3 && !memcmp(at - 2, end, 5)) {
            s->in_data = 0;
            return place + 3;
        }
    }
    if (size >= 4) {
        memcpy(s->tail, data + size - 4, s->tail_size = 4);
    } else {
        size_t total = kept + size, cut = total > 4 ? total - 4 : 0;
        memcpy(s->tail, seam + cut, s->tail_size = total - cut);
    }
    return size;
}

static void take(struct session *s, char *data, size_t size) {
    while (size && !s->is_closing) {
        size_t used;
        if (s->chunk) {
            used = size < s->chunk ? size : s->chunk;
            bytes += used;
            s->chunk -= used;
            if (!s->chunk) end_chunk(s);
        } else if (s->in_data) {
            used = message_bytes(s, data, size);
            bytes += used;
            if (!s->in_data) taken(s);
        } else {
            char *end = memchr(data, '\n', size);
            used = end ? (size_t)(end - data) + 1 : size;
            if (s->line_size + used >= LINE) {
                refuse("500 5.5.2 that line is too long\r\n");
                s->is_closing = 1;
                return;
            }
            memcpy(s->line + s->line_size, data, used);
            s->line_size += used;
            if (end) {
                while (s->line_size && strchr("\r\n", s->line[s->line_size - 1])) s->line_size--;
                s->line[s->line_size] = 0;
                s->line_size = 0;
                command(s, s->line);
            }
        }
        data += used;
        size -= used;
    }
}

static void end_session(struct session *s) {
    for (struct session **at = &waiting; *at; at = &(*at)->next_waiting) {
        if (*at == s) {
            *at = s->next_waiting;
            break;
        }
    }
    while (s->first) {
        struct reply *next = s->first->next;
        free(s->first);
        s->first = next;
    }
    close(s->fd);
    free(s);
}

/* Sends the answers whose time has come; milliseconds until the next, or -1. */
static int send_waiting(void) {
    long now = now_us(), soonest = 0;
    for (struct session **at = &waiting, *s; (s = *at);) {
        if (s->first && s->first->due <= now && send_due(s, now) < 0) {
            end_session(s); /* unlinks it: `at` holds the one after it now */
            continue;
        }
        if (!s->first) {
            s->is_waiting = 0;
            *at = s->next_waiting;
            continue;
        }
        if (!soonest || s->first->due < soonest) soonest = s->first->due;
        at = &s->next_waiting;
    }
    if (!soonest) return -1;
    return soonest <= now ? 1 : (int)((soonest - now + 999) / 1000);
}

static void accept_all(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct session *s = calloc(1, sizeof *s);
        if (!s) die("calloc");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
        s->fd = fd;
        s->number = ++connections;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
        say("220 fastsink ESMTP\r\n");
        if (flush_out(s) < 0) end_session(s);
    }
}

static void serve(struct session *s, unsigned events) {
    if (events & EPOLLOUT && send_due(s, now_us()) < 0) {
        end_session(s);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t got = recv(s->fd, block, sizeof block, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        end_session(s);
        return;
    }
    take(s, block, (size_t)got);
    if (flush_out(s) < 0) end_session(s);
}

static void print_counts(void) {
    printf("messages=%lu bytes=%lu recipients=%lu connections=%lu errors=%lu\n", messages, bytes, recipients,
           connections, errors);
    fflush(stdout);
    if (list) fflush(list);
}

/* Whether a signal has come that ends us. */
static int is_over(int signals) {
    struct signalfd_siginfo signal;
    int over = 0;
    while (read(signals, &signal, sizeof signal) == sizeof signal) {
        if (signal.ssi_signo == SIGUSR1) print_counts();
        else over = 1;
    }
    return over;
}

int main(int argc, char **argv) {
    int port = 0, yes = 1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--delay-ms") && i + 1 < argc) delay_us = (long)(atof(argv[++i]) * 1000);
        else if (!strcmp(argv[i], "--service-ms") && i + 1 < argc) service_us = (long)(atof(argv[++i]) * 1000);
        else if (!strcmp(argv[i], "--rate") && i + 1 < argc) gap_us = (long)(1000000 / atof(argv[++i]));
        else if (!strcmp(argv[i], "--log") && i + 1 < argc) {
            if (!(list = fopen(argv[++i], "w"))) die("log");
        } else if (!strcmp(argv[i], "--no-chunking")) offers_chunking = 0;
        else if (!strcmp(argv[i], "--no-pipelining")) offers_pipelining = 0;
        else port = atoi(argv[i]);
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGUSR1);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &size)) die("getsockname");
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event on_signal = {.events = EPOLLIN, .data.ptr = &signals}, events[EVENTS];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &on_listener);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, signals, &on_signal);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int wait = -1, over = 0; !over; wait = waiting ? send_waiting() : -1) {
        int count = epoll_wait(poll_fd, events, EVENTS, wait);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &signals) over = is_over(signals);
            else if (events[i].data.ptr == &listener) accept_all(listener);
            else serve(events[i].data.ptr, events[i].events);
        }
    }
    print_counts();
    return 0;
}
