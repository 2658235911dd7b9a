# Pipes, substitution, redirection, globs, arithmetic, functions.
set -o pipefail
echo one two three | tr ' ' '\n' | sort -r | paste -sd,
false | true; echo "pipefail $? ${PIPESTATUS[*]}"
true | sh -c 'exit 7' | cat; echo "status ${PIPESTATUS[*]}"
cat <<END
here $((6 * 7)) $(echo substitution)
END
cat <<'END'
not $expanded
END
cat <<< "a here string"
diff <(seq 1 5) <(seq 1 2 5)
tee >(wc -c >counted) <<< "through a process substitution" >/dev/null; wait $!
for i in 1 2 3 4 5 6 7 8 9 10; do [ -s counted ] && break; sleep 0.05; done
cat counted
mkdir -p tree/{a,b}/{x,y}; touch tree/a/x/{1,2,3}.txt "tree/b/with space"
shopt -s globstar nullglob extglob
printf '%s\n' tree/**/*.txt tree/b/* tree/*/no-such* tree/+(a|c)
echo out >file; echo more >>file; echo "$(<file)"
{ echo to-out; echo to-err >&2; } 2>errors >outputs; cat outputs errors
ls /nonexistent 2>&1 | sed 's/^/caught: /'
exec 5<>both; echo written >&5; exec 5>&-; cat both
exec 6<file; read -r line <&6; echo "read $line"; exec 6<&-
set -C; echo x >file; echo "noclobber $?"; set +C
(exit 5); echo "subshell $?"
( trap 'echo leaving' EXIT; exit 3 ); echo "trap $?"
sh -c 'kill -9 $$'; echo "killed $?"
sh -c 'kill -SEGV $$' ; echo "segv $?"
f() { local n=$1; ((n <= 1)) && { echo 1; return; }; echo $((n * $(f $((n - 1))))); }
f 6
arr=(z y x); echo "${arr[@]}" "${#arr[@]}" "${arr[@]:1}" "${!arr[@]}"
declare -A map=([k]=v); echo "${map[k]}"
x=hello.tar.gz; echo "${x%.gz} ${x##*.} ${x/l/L} ${x^^} ${#x}"
read -r a b rest < <(echo 1 2 3 4); echo "$a/$b/$rest"
while read -r l; do echo "<$l>"; done < <(printf 'p\nq\n')
printf '%05d %x %s\n' 42 255 end
[[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}"
type -t echo cat if
command -v sort
echo $((1 << 40)) $((0x10 + 010)) $((-7 / 2)) $((-7 % 2))
ulimit -n >/dev/null && echo ulimit
test -t 1; echo "terminal $?"
test -p /dev/stdin; echo "pipe $?"
umask 077; touch private; stat -c %a private
cd tree && pwd -P | sed 's/.*\///'; cd - >/dev/null
echo "$0" | sed 's/.*\///'; echo "$#"; echo "$-" | tr -d B
nonexistent-command; echo "$?"
/etc/passwd; echo "$?"
exit 41
