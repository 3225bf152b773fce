#!/usr/bin/env bash
# run.sh: from a checkout to a served page with the demo app, in the foreground.
# Ctrl-C stops the node and leaves the containers running; the next run adopts them.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LISTEN=${ARCHIPELAGO_LISTEN:-127.0.0.1:8420}

"$SETUP/prepare.sh" run
"$SETUP/ui.sh" build
stage "node: building" cargo build --release --locked --manifest-path "$REPO/Cargo.toml" -p archipelago -p archy

HOME_OF_NODE=$(node_home)
FOLDER=$HOME_OF_NODE/.local/lib/archipelago
DATA=${ARCHIPELAGO_DATA:-$HOME_OF_NODE/.local/share/archipelago}
healthy() { curl -fsS -o /dev/null --max-time 2 "http://$LISTEN/healthz" 2>/dev/null; }
archy() { as_user "$FOLDER/bin/archy" --data-dir "$DATA" "$@"; }

if healthy; then
    die "a node is already running on $LISTEN" "stop it with Ctrl-C where it runs, or choose another address: ARCHIPELAGO_LISTEN=127.0.0.1:8421 make run"
fi
say "node: installing into $FOLDER"
"$SETUP/install.sh" release "$FOLDER"
as_user "$FOLDER/catalog/demo/base.sh"

say "node: starting"
# With job control the node gets a process group of its own, so that Ctrl-C reaches this script only,
# which then asks the node to end and waits for it.
set -m
"$SETUP/as-user.sh" "$FOLDER/bin/archipelago" --data-dir "$DATA" --catalog "$FOLDER/catalog" --listen "$LISTEN" </dev/null &
node=$!
set +m
stop_node() {
    trap '' INT TERM
    kill -TERM "$node" 2>/dev/null || true
    for _ in $(seq 150); do
        kill -0 "$node" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$node" 2>/dev/null && note "the node did not end within 15 s and was killed"
    wait "$node" 2>/dev/null || true
    trap - EXIT
}
trap stop_node EXIT
trap 'echo; say "stopping the node"; stop_node; say "stopped; the apps go on running, make run adopts them"; exit 0' INT TERM

for _ in $(seq 300); do
    healthy && break
    kill -0 "$node" 2>/dev/null || die "the node ended while starting" "read its messages above"
    sleep 0.1
done
healthy || die "the node does not answer on $LISTEN" "read its messages above"

state=$(archy apps | awk '$1 == "demo" { print $2 }')
if [ "$state" != not_installed ]; then
    say "demo: installed; its containers are as they were (${state:-unknown})"
else
    say "demo: installing, which builds its images"
    archy install demo --wait || die "the demo app could not be installed" "read the node's messages above"
fi

# The token is good until a password is set with it.
secret="your password"
case $(curl -fsS --max-time 5 "http://$LISTEN/api/v1/auth" 2>/dev/null) in
*'"setup":true'*) secret=$(as_user cat "$DATA/owner-token") ;;
esac

cat <<TEXT

  Archipelago   http://$LISTEN
  log in with   $secret
  demo app      http://127.0.0.1:8090

  Ctrl-C stops the node; the apps go on running, and make run adopts them.

TEXT
wait "$node" || die "the node ended" "its apps go on running; make run starts it again and adopts them"
