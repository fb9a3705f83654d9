# shellcheck shell=bash
# Where things are; read by install, start and stop. `here` is this folder.
SERVER=node-oidc-provider
REPO=$(cd "$here/../.." && pwd)
CACHE=${VERIFIER_INTEROP_CACHE:-$REPO/interop/.cache}
HOME_OF_SERVER=$CACHE/$SERVER
RUN=$CACHE/run
# One of several at a time: each has its own files, but for the clients' secrets.
SUFFIX=${INTEROP_SUFFIX-}
ENV_FILE=$RUN/$SERVER$SUFFIX.env
PID_FILE=$RUN/$SERVER$SUFFIX.pid
# shellcheck disable=SC2034 # for the scripts that read this file
LOG=$RUN/$SERVER$SUFFIX.log SECRETS=$RUN/$SERVER.secrets STATE=$RUN/$SERVER$SUFFIX.state

# When process $1 was started, in ticks since boot: tells it from a later one with the same number.
started_at() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # The name, in brackets, may hold spaces: count from behind it.
    awk '{ print $20 }' <<<"${stat##*) }"
}

# The process that `start` started, if it lives.
running() {
    local pid at
    [[ -f $PID_FILE ]] && read -r pid at <"$PID_FILE" && [[ $(started_at "$pid") == "$at" ]] && echo "$pid"
}
