/*
 * fork: a process for each connection, in C; a peer to measure webserver3g by.
 *
 *     cc -O2 -o fork fork.c && ./fork 127.0.0.1:8888
 *
 * It reads once, prints what webserver3g prints, and answers what it answers. A
 * handler for SIGCHLD reaps the children, as many as there are at each signal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUEST_SIZE = 1024, BACKLOG = 1024 };

static const char RESPONSE[] = "HTTP/1.1 200 OK\n\nHello, World!\n";

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* waitpid(2) alone, which is async-signal-safe; errno as it was found. */
static void reap(int signal)
{
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static int listen_on(const char *text)
{
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : sizeof host;
    int listener, on = 1;

    if (length < sizeof host) {
        memcpy(host, text, length);
        host[length] = '\0';
    }
    if (length >= sizeof host || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s: not an address such as 127.0.0.1:8888\n", text);
        exit(1);
    }
    address.sin_port = htons((unsigned short)atoi(colon + 1));

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        fail("setsockopt");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (listen(listener, BACKLOG) < 0)
        fail("listen");
    return listener;
}

static void handle_request(int connection)
{
    char request[REQUEST_SIZE];
    const char *rest = RESPONSE;
    size_t left = sizeof RESPONSE - 1;
    ssize_t received = read(connection, request, sizeof request);

    if (received < 0)
        return;
    printf("child pid %d, parent pid %d\n", (int)getpid(), (int)getppid());
    fwrite(request, 1, (size_t)received, stdout);
    fflush(stdout);
    while (left > 0) {
        ssize_t written = write(connection, rest, left);
        if (written < 0)
            return;
        rest += written;
        left -= (size_t)written;
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = reap}; /* no SA_RESTART, like 3g */
    int listener = listen_on(argc > 1 ? argv[1] : "127.0.0.1:8888");

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGCHLD, &action, NULL) < 0)
        fail("sigaction");
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            fail("accept");
        }
        switch (fork()) {
        case -1:
            fail("fork");
            break;
        case 0:
            close(listener);
            handle_request(connection);
            close(connection);
            _exit(0);
        default:
            close(connection);
        }
    }
}
