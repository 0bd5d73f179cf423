/* The least that a capturing relay costs: what bench/imap.py measures Mailweir's door beside.

   capture_least PORT SERVER_PORT FOLDER: passes octets between a client and a server on loopback,
   and of every read of BODY octets or more does what the door does with a body before it counts
   as captured: SHA-256 (OpenSSL), CRC-32 (zlib), a write to a file of its own in FOLDER, an
   fdatasync every SYNC octets. No IMAP, no header, no hash chain, no message has an end; nothing is
   kept from what was captured before. Two processes share the port, each with one epoll. What is
   read while the other side takes nothing is waited for, so it never holds more than one read.

   cc -O2 capture_least.c -lcrypto -lz */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum { BODY = 4096, READ = 256 << 10, SYNC = 4 << 20, SEGMENT = 64 << 20, MOST = 65536 };

static char buffer[READ];
static int other[MOST]; /* the descriptor that goes with this one */
static int file = -1, segments;
static long written, unsynced;
static uLong crc;
static EVP_MD_CTX *digest;
static const char *folder;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void capture(const char *octets, long count) {
    EVP_DigestUpdate(digest, octets, count);
    crc = crc32(crc, (const unsigned char *)octets, count);
    if (file < 0 || written > SEGMENT) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%d-%d", folder, getpid(), segments++);
        if (file >= 0) close(file);
        if ((file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600)) < 0) fail(name);
        written = 0;
    }
    for (long at = 0, wrote; at < count; at += wrote, written += wrote)
        if ((wrote = pwrite(file, octets + at, count - at, written)) <= 0) fail("pwrite");
    if ((unsynced += count) >= SYNC) {
        if (fdatasync(file)) fail("fdatasync");
        unsynced = 0;
    }
}

static void hang_up(int fd) {
    close(other[fd]);
    close(fd);
    other[other[fd]] = -1;
    other[fd] = -1;
}

static void pass(int fd) {
    long count = recv(fd, buffer, READ, 0);
    if (count <= 0) hang_up(fd);
    for (long at = 0; at < count;) {
        long sent = send(other[fd], buffer + at, count - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) { /* EAGAIN, or the end, which the next read tells */
            struct pollfd room = {other[fd], POLLOUT, 0};
            if (poll(&room, 1, 60000) <= 0 || room.revents & (POLLERR | POLLHUP)) break;
            sent = 0;
        }
        at += sent;
    }
    if (count >= BODY) capture(buffer, count);
}

static void serve(int port, int server_port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)}, there = here;
    here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons(server_port);
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0), events = epoll_create1(0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(door, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(door, (void *)&here, sizeof here) || listen(door, 1000)) fail("bind");
    epoll_ctl(events, EPOLL_CTL_ADD, door, &(struct epoll_event){EPOLLIN, {.fd = door}});
    for (struct epoll_event found[64];;) {
        int count = epoll_wait(events, found, 64, -1);
        for (int at = 0; at < count; at++) {
            int fd = found[at].data.fd;
            if (fd != door) {
                if (other[fd] >= 0) pass(fd);
                continue;
            }
            int client = accept(door, NULL, NULL), server = socket(AF_INET, SOCK_STREAM, 0);
            if (client < 0 || connect(server, (void *)&there, sizeof there)) fail("connect");
            setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            other[client] = server;
            other[server] = client;
            epoll_ctl(events, EPOLL_CTL_ADD, client, &(struct epoll_event){EPOLLIN, {.fd = client}});
            epoll_ctl(events, EPOLL_CTL_ADD, server, &(struct epoll_event){EPOLLIN, {.fd = server}});
        }
    }
}

int main(int count, char **words) {
    if (count != 4) return 2;
    folder = words[3];
    if (fork() == 0) prctl(PR_SET_PDEATHSIG, SIGTERM);
    EVP_DigestInit_ex(digest = EVP_MD_CTX_new(), EVP_sha256(), NULL);
    serve(atoi(words[1]), atoi(words[2]));
}
