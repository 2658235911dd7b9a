# The usual tools on a tree of files.
umask 022
mkdir -p source/dir/deep; echo content >source/file; printf 'a\nb\nc\n' >source/dir/lines; ln -s file source/link; ln source/file source/hard
ln -s nowhere source/dangling; chmod 640 source/file; chmod 1777 source/dir; touch -d '2001-02-03 04:05:06.789' source/dir/lines; mkfifo source/fifo
ls -la --time-style=+ source | awk '{print $1, $2, $3, $4, $NF}'
ls -R source; ls -1 --classify source; ls -i source >/dev/null && echo inodes
cp -a source copied; echo "cp $?"
stat -c '%n %F %a %h %s %Y' copied copied/* copied/dir/* | grep -v 'directory' | sed 's/ [0-9]* [0-9]*$//; t' 
stat -c '%n %Y' copied/dir/lines
cmp source/dir/lines copied/dir/lines && echo same
[ copied/file -ef copied/hard ] && echo hard link kept
cp source/file source/missing/x; echo "cp $?"
cp -r source/dir again && ls again
mv copied moved && ls moved; mv moved/file moved/renamed; mv moved/renamed moved/dir/; ls moved/dir
mv -n source/file source/hard; mv moved moved/dir 2>&1; echo "mv $?"
find source | sort; find source -type l | sort; find source -perm 640; find source -newer source/dir/lines -type f | sort; find source -empty; find source -links 2 -type f | sort
find source -name '*e*' -print0 | xargs -0 -n1 echo | sort
find source -type f -exec sha256sum {} + | sort
du -s --apparent-size source | cut -f2; du -a source | wc -l
dd if=/dev/zero of=zeroes bs=4k count=100 status=none; stat -c %s zeroes; dd if=zeroes of=part bs=1 skip=10 count=5 seek=3 status=none; od -c part
dd if=/dev/urandom of=random bs=1M count=4 status=none; sha256sum <random | cmp - <(cat random | sha256sum) && echo random same; rm random
truncate -s 1M sparse; stat -c '%s %b' sparse; truncate -s 10 zeroes; wc -c zeroes
seq 1 200000 | sort -R --random-source=/etc/passwd | sort -n | md5sum
seq 1 300000 | sort -k1,1r -S 1M -T . --parallel=2 | head -2; seq 100000 | sort -S 100k --compress-program=gzip -n | tail -1
seq 10 | tail -c 6; seq 10 | tail -3; seq 100 >hundred; tail -c 8 hundred; tail -n +98 hundred; head -c 5 hundred; split -l 40 hundred part-; wc -l part-*
cat hundred hundred | uniq -d | wc -l; comm -12 <(seq 5) <(seq 3 9); join <(seq 3) <(seq 2 4); cut -c1 hundred | sort | uniq -c; nl hundred | tail -1; tac hundred | head -1
rm source; echo "rm $?"; rm -r source/dir; ls source; rmdir source; echo "rmdir $?"; rm -rf source; ls source; echo "ls $?"
touch a b c; rm -v a b; ln -sf c s; readlink s; readlink -f s | sed 's/.*\///'; realpath --relative-to=. ./s; ln -sfn /etc s; ls -d s/passwd
install -m 750 c installed; stat -c %a installed; mktemp -p . tmp.XXXX >/dev/null && ls tmp.* | wc -l; rm tmp.*
chmod -R u=rwX,go= again; stat -c %a again/lines again; chown 0:0 c; chgrp 0 c; echo "chown $?"
tee one two <<< teed >/dev/null; cat one two; cksum one; sum one; b2sum one | cut -c1-8; base64 <<< encode | base64 -d
date -u -d @0 +%FT%T; touch -t 202001020304 c; date -u -r c +%F; sleep 0.01; test c -ot one && echo older
df . >/dev/null; echo "df $?"; sync; nproc >/dev/null; id -u; whoami; groups; hostid >/dev/null; printenv TZ; pathchk ok; logname 2>/dev/null; uname -s; arch
factor 97 100; expr 2 + 3; seq -s, 3; basename /a/b.c .c; dirname /a/b; echo x | tr x y; yes n | head -2; tsort <<< 'a b'; shuf -i 1-1; numfmt --to=iec 2048; fold -w 3 <<< abcdef; fmt -w 5 <<< 'aa bb cc'; expand <<< $'\tx'; pr -T <<< page; csplit -s hundred 50; ls xx*
chroot / /bin/echo in a root; echo "chroot $?"
stdbuf -oL echo buffered; timeout 1 true; nohup true 2>/dev/null; echo $?
