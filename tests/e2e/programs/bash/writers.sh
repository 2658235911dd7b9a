# Several processes on one file, and locks between them.
for w in 1 2 3 4; do (for i in {1..200}; do echo "writer $w line $i"; done >>appended) & done; wait
wc -l <appended; sort appended | md5sum
exec 9>lock
(flock -n 9 && echo got; flock -u 9); flock 9; flock -n lock echo never; echo "locked $?"; flock -u 9; flock -n lock echo now; echo "free $?"
for i in 1 2 3 4; do (for j in 1 2 3 4 5; do flock counter.lock sh -c 'n=$(cat counter 2>/dev/null); echo $((n + 1)) >counter'; done) & done; wait; cat counter
flock -w 0.1 lock sleep 0.3 & sleep 0.1; flock -w 0.05 lock true; echo "waiting $?"; wait
exec 7>shared; (echo child >&7); echo parent >&7; cat shared
rm -f appended lock counter.lock
