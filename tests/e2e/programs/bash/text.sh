# sed, awk, grep, tar, gzip and their kind on generated input.
seq 1 20000 | awk '{print $1, $1 * $1, "line number " $1}' >table
sed -n '100,102p; $=' table; sed -i.bak 's/number/NUMBER/; 5d' table; wc -l table table.bak; sed '2q' table; sed -e '/3$/!d' -e 's/\(.*\) \(.*\)/\2 \1/' table | head -2; echo 'w out' | sed -n '1{w written
}' ; cat written
awk '{s += $2; n[$1 % 3]++} END {printf "%.0f %d %d %d\n", s, n[0], n[1], n[2]}' table
awk 'BEGIN {while ((getline line < "table") > 0) c++; print c; "echo from a command" | getline x; print x; print "to a pipe" | "cat"; close("cat"); print length("abc"), substr("hello", 2, 3), toupper("x"), index("abc", "c")}'
awk -v x=5 'BEGIN {print x ^ 2; system("exit 3"); exit 4}'; echo "awk $?"
grep -c 7 table; grep -m2 -n '^77' table; grep -E '(9)\1{2}' table | head -3; grep -v e table; echo "grep $?"; grep -r NUMBER --include='tab*' -l . | sort; grep -x nothing table; echo "grep $?"; grep x /nonexistent; echo "grep $?"; grep -o 'r [0-9]*$' table | tail -1; fgrep -w 500 table | head -1
mkdir -p pack/sub; cp table pack/; ln -s ../table pack/sub/link; ln pack/table pack/hard; chmod 600 pack/table; head -c 3000000 /dev/zero >pack/zeroes; truncate -s 5M pack/sparse
tar cf pack.tar pack; echo "tar $?"; tar tvf pack.tar | awk '{print $1, $3, $6, $7, $8}'; mkdir out; tar xpf pack.tar -C out; diff -r pack out/pack && echo same
tar czf pack.tgz --sparse pack; gzip -t pack.tgz; echo "gzip $?"; gzip -dc pack.tgz | tar tf - | sort; tar cf - pack | (cd out && rm -rf pack && tar xf -); [ out/pack/table -ef out/pack/hard ] && echo hard
gzip -k9 table; ls -l table.gz | awk '{print ($5 < 200000)}'; gunzip -c table.gz | cmp - table && echo same; gzip table.bak && gunzip table.bak.gz && wc -l table.bak; echo garbage | gzip -d; echo "gzip $?"
zcat table.gz | tail -1; zgrep -c 1 table.gz
rm -rf pack out pack.tgz pack.tar table.gz
diff <(seq 5) <(seq 2 6); patch --version >/dev/null 2>&1; xargs -P 4 -n 50 echo < <(seq 200) | wc -w; seq 10 | xargs -n3 sh -c 'echo $# $*' x; echo a b | xargs -I{} echo '<{}>'; false | xargs false; echo "xargs $?"; seq 3 | xargs -I% sh -c 'exit %'; echo "xargs $?"
dc -e '2 3 +p' 2>/dev/null; bc <<< '2^64' 2>/dev/null; file /bin/true 2>/dev/null | cut -c1-12; which sh; md5sum table | cut -c1-6
