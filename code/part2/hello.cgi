#!/bin/sh
# hello.cgi: an application for any server that speaks CGI.
case "$REQUEST_METHOD $PATH_INFO" in
'GET /hello')
    printf 'Content-Type: text/plain\n\n'
    printf 'Hello, World!\n' ;;
'POST /shout')
    printf 'Content-Type: text/plain\n\n'
    head -c "$CONTENT_LENGTH" | tr a-z A-Z ;;
*)
    printf 'Status: 404 Not Found\nContent-Type: text/plain\n\n'
    printf 'There is no %s.\n' "$PATH_INFO" ;;
esac
