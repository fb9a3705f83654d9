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
log=$root/run/keycloak.log

# member PATH: one member of the JSON document on standard input, or nothing. PATH: names and indexes, dots between.
member() {
    node -e '
        let text = "";
        process.stdin.on("data", (part) => (text += part)).on("end", () => {
            let value;
            try { value = process.argv[1].split(".").reduce((at, name) => at?.[name], JSON.parse(text)); } catch {}
            if (value !== undefined) process.stdout.write(typeof value === "string" ? value : JSON.stringify(value));
        });' "$1"
}

# Secrets go to curl by file, never by argument.
admin_token() {
    curl -sS --fail --max-time 20 --data-urlencode "password@$secrets/admin" \
        -d grant_type=password -d client_id=admin-cli -d username=admin \
        "$KEYCLOAK_ORIGIN/realms/master/protocol/openid-connect/token" | member access_token
}

# admin METHOD PATH [BODY]: the admin API; a body on standard input if BODY is "-". Its token lives for a minute only.
admin() {
    local body=()
    [[ -z ${3-} ]] || body=(-H 'Content-Type: application/json' --data-binary "$3")
    [[ ${3-} != - ]] || body=(-H 'Content-Type: application/json' --data-binary @-)
    local bearer
    bearer=$(admin_token)
    curl -sS --fail --max-time 30 -X "$1" "${body[@]}" -K <(printf 'header = "Authorization: Bearer %s"\n' "$bearer") \
        "$KEYCLOAK_ORIGIN/admin/$2"
}
