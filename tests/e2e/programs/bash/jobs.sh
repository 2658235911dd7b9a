# Jobs, traps and signals. Process ids do not appear in what is printed.
sleep 0.05 & wait $!; echo "waited $?"
(exit 3) & a=$!; (exit 4) & b=$!
wait $a; echo "first $?"; wait $b; echo "second $?"
for i in 1 2 3 4; do (sleep 0.0$i; echo "job $i" >>log.$i) & done; wait; cat log.*
trap 'echo "caught USR1"' USR1
kill -USR1 $$; echo after
(sleep 0.05; kill -USR1 $$) & wait $!; echo "interrupted wait gives more than 128: $(($? > 128))"; wait
trap 'echo "caught TERM"; exit 9' TERM
( trap 'echo child; exit 2' TERM; kill -TERM $BASHPID; sleep 1 ); echo "child $?"
trap '' HUP; kill -HUP $$; echo ignored
trap - HUP
sleep 10 & p=$!; kill $p; wait $p 2>/dev/null; echo "terminated $?"
sleep 10 & p=$!; kill -STOP $p; kill -CONT $p; kill -KILL $p; wait $p 2>/dev/null; echo "killed $?"
kill -0 $p 2>/dev/null; echo "gone $?"
trap 'echo "child ended"' CHLD; /bin/true; trap - CHLD
trap 'echo "line $LINENO"' ERR; false; trap - ERR
coproc { read -r l; echo "coprocess got $l"; }; echo hello >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"; wait
timeout 0.1 sleep 5; echo "timeout $?"
timeout -s KILL 0.1 sleep 5; echo "timeout $?"
timeout 5 sh -c 'exit 6'; echo "timeout $?"
set -m; sleep 10 & kill $!; wait $! 2>/dev/null; echo "job control $?"; set +m
echo "$(trap 'echo in-substitution' EXIT; echo body)"
yes | head -1
seq 1000000 | head -3
bash -c 'echo nested; exec bash -c "echo replaced; exit 12"'; echo "nested $?"
exec 3>&1; { echo direct >&3; } | cat; exec 3>&-
nice -n 5 sh -c 'nice'
setsid sh -c 'echo session'; nohup sh -c 'echo nohup' 2>/dev/null
env -i sh -c 'env' | grep -v -e '^_' -e PWD | sort
kill -TERM $$
echo never
