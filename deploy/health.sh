#!/bin/bash
# health.sh [healthz|readyz] [PORT]: 0 where the service of this container answers 200. Without a Node process for each look.
exec 3<>"/dev/tcp/127.0.0.1/${2:-7400}" || exit 1
printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${1:-healthz}" >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
