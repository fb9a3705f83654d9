# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, and calls to Keycloak.

version=26.7.3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${VERIFIER_INTEROP_CACHE:-$here/../.cache}
mkdir -p "$root/run"
root=$(cd "$root" && pwd)
# shellcheck disable=SC2034  # for the scripts that source this
home=$root/keycloak/keycloak-$version env_file=$root/run/keycloak.env secrets=$root/run/keycloak pid_file=$root/run/keycloak.pid
# shellcheck disable=SC2034
log=$root/run/keycloak.log store=$root/run/keycloak-store

# A pid is used again some day: only with the start time is it the process that we mean.
ours_lives() {
    local pid started
    [[ -f $pid_file ]] && read -r pid started <"$pid_file" &&
        [[ $(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null) == "$started" && $(cut -d' ' -f3 "/proc/$pid/stat") != Z ]]
}

# Secrets go to curl by file, never by argument.
admin_token() {
    curl -sS --fail --max-time 20 --data-urlencode "password@$secrets/admin" \
        -d grant_type=password -d client_id=admin-cli -d username=admin \
        "$KEYCLOAK_ORIGIN/realms/master/protocol/openid-connect/token" |
        node -pe 'JSON.parse(require("fs").readFileSync(0)).access_token'
}

# admin METHOD PATH [BODY]: the admin API, with $admin_token, which lives for a minute. A body on standard input if BODY
# is "-".
admin() {
    local body=()
    [[ -z ${3-} ]] || body=(-H 'Content-Type: application/json' --data-binary "$3")
    [[ ${3-} != - ]] || body=(-H 'Content-Type: application/json' --data-binary @-)
    curl -sS --fail --max-time 30 -X "$1" "${body[@]}" \
        -K <(printf 'header = "Authorization: Bearer %s"\n' "$admin_token") "$KEYCLOAK_ORIGIN/admin/$2"
}
