# shellcheck shell=bash
# The server's side of `try`: getting tokens, taking them apart, revoking them. Reads what `start` wrote.

# as CLIENT CURL-ARGUMENTS..: a request that the client authenticates; the secret is on no command line.
as() {
    local client=$1
    shift
    curl -sS -m 10 -K - "$@" <<<"user = \"$client:$(<"$SECRETS/$client")\""
}

# An access token by client credentials: for CLIENT [RESOURCE [CURL-ARGUMENTS..]].
client_token() {
    local client=$1 resource=${2:-$API}
    shift $(($# > 2 ? 2 : $#))
    as "$client" "$TOKEN" -d grant_type=client_credentials -d "resource=$resource" -d scope=read "$@" |
        jq -er .access_token
}

proof() { node "$here/dpop.mjs" POST "$TOKEN"; }

# alice's tokens, as JSON, for CLIENT: follows the redirects until one leads to the client with a code.
user_tokens() {
    local client=$1 jar verifier challenge at hop
    jar=$(mktemp -p "$work")
    verifier=$(openssl rand -hex 32)
    challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d =)
    at=$(curl -sS -m 10 -G -o /dev/null -b "$jar" -c "$jar" -w '%{redirect_url}' "$AUTHORIZATION" \
        -d "client_id=$client" -d response_type=code --data-urlencode "redirect_uri=$CALLBACK" \
        --data-urlencode 'scope=openid offline_access read' -d prompt=consent -d "resource=$API" \
        -d nonce=n-1 -d "code_challenge=$challenge" -d code_challenge_method=S256)
    for ((hop = 0; hop < 8; hop++)); do
        if [[ $at == "$CALLBACK"\?* ]]; then
            break
        fi
        at=$(curl -sS -m 10 -o /dev/null -b "$jar" -c "$jar" -w '%{redirect_url}' "$at")
    done
    at=${at#*code=}
    as "$client" "$TOKEN" -d grant_type=authorization_code -d "code=${at%%&*}" -d "code_verifier=$verifier" \
        --data-urlencode "redirect_uri=$CALLBACK" -d "resource=$API"
}

# revoke CLIENT TOKEN: prints the HTTP status.
revoke() {
    as "$1" "$REVOCATION" -o "$work/revoked" -w '%{http_code}' -d "token=$2"
}

introspections() { curl -sS -m 10 "$INTROSPECTIONS_SO_FAR"; }

# claim NAME JWT
claim() {
    jq -rn --arg t "$2" --arg n "$1" '$t | split(".")[1] | gsub("-"; "+") | gsub("_"; "/")
        | . + "=" * ((4 - length % 4) % 4) | @base64d | fromjson | .[$n]'
}

# Another signature of the right length: its first character changed.
tampered() {
    local signature=${1##*.} first=A
    [[ $signature == A* ]] && first=B
    echo "${1%.*}.$first${signature:1}"
}
