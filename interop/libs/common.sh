# shellcheck shell=bash
# Where things are; read by install and speak. `here` is this folder.
LIBRARIES=(jjwt pyjwt jsonwebtoken jose golang-jwt)
CACHE=${VERIFIER_INTEROP_CACHE:-$here/../.cache}
mkdir -p "$CACHE/libs"
CACHE=$(cd "$CACHE" && pwd)

# The folder where library $1 is installed.
home_of() { echo "$CACHE/libs/$1"; }
