# shellcheck shell=bash
# The engine's side of `try`: configurations, and processes of the verifier that judge tokens by them.

verdicts() { jq -r --unbuffered '"\(.verdict) \(.code)"'; }

# judge CONFIGURATION [ARGUMENTS..]: verdict and code of each token on standard input, by one process.
judge() {
    local config=$1
    shift
    # Its exit status says what its lines say.
    { "${VERIFIER[@]}" verify --json --config "$work/$config.toml" "$@" - 2>"$work/stderr" || true; } | verdicts
    if [[ -s $work/stderr ]]; then
        sed 's/^/verifier said: /' "$work/stderr" >&2
    fi
}

judged() { # judged CONFIGURATION TOKEN [ARGUMENTS..]
    local config=$1 token=$2
    shift 2
    judge "$config" "$@" <<<"$token"
}

# A process that goes on: `open NAME CONFIGURATION [ARGUMENTS..]`, then `ask NAME TOKEN`, which sets `answer`.
open() {
    local name=$1 config=$2 in out
    shift 2
    mkfifo "$work/$name.in" "$work/$name.out"
    "${VERIFIER[@]}" verify --json --config "$work/$config.toml" "$@" - \
        <"$work/$name.in" >"$work/$name.out" 2>/dev/null &
    process[$name]=$!
    exec {in}>"$work/$name.in" {out}<"$work/$name.out"
    to[$name]=$in from[$name]=$out
}

ask() {
    local line=
    answer='no answer'
    echo "$2" 2>/dev/null >&"${to[$1]}" || true
    if read -r -t 15 line <&"${from[$1]}"; then
        answer=$(verdicts <<<"$line")
    fi
}

close() {
    local in=${to[$1]} out=${from[$1]}
    exec {in}>&- {out}<&-
    kill "${process[$1]}" 2>/dev/null || true
    wait "${process[$1]}" || true
    unset "process[$1]" "to[$1]" "from[$1]"
    rm -f "$work/$1.in" "$work/$1.out"
}

# The configurations: what `config example` prints, with URLs and client changed; the secret is in the environment.
# The examples are for one strategy each; `hybrid` is the one for introspection with the keys section of the other.
configure() {
    "${VERIFIER[@]}" config example at+jwt | sed "s|https://as.example.com|$ISSUER|" >"$work/jwks.toml"
    "${VERIFIER[@]}" config example generic | sed -e "s|https://as.example.com/oauth2/introspect|$INTROSPECTION|" \
        -e "s|https://as.example.com|$ISSUER|" -e "s|\"api\"|\"$API_CLIENT\"|" >"$work/introspection.toml"
    {
        sed -e 's|"introspection"|"hybrid"|' -e '/^audience/a opaque = "introspect"' "$work/introspection.toml"
        echo
        sed -n '/^\[issuer.keys\]/,$p' "$work/jwks.toml"
    } >"$work/hybrid.toml"
    API_CLIENT_SECRET=$(<"$SECRETS/$API_CLIENT")
    export API_CLIENT_SECRET
}

# variant NEW OLD SED-EXPRESSIONS..: a configuration from another.
variant() {
    local new=$1 old=$2 expressions=() expression
    shift 2
    for expression; do
        expressions+=(-e "$expression")
    done
    sed "${expressions[@]}" "$work/$old.toml" >"$work/$new.toml"
}

# told_names CONFIGURATION TOKEN NAME: "both" if what `verify` says to people holds the issuer's name and NAME.
told_names() {
    local said
    said=$("${VERIFIER[@]}" verify --config "$work/$1.toml" - <<<"$2" 2>&1 || true)
    if [[ $said == *"$ISSUER"* && $said == *"$3"* ]]; then
        echo both
    else
        xargs <<<"$said"
    fi
}

now() { echo "${EPOCHREALTIME/[.,]/}"; } # in us
