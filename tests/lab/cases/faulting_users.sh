# Without root: the filter that keeps CPUID faulting virtual needs no_new_privs there; and programs whose user is another one.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/arch_cpuid tests/system/victims/print_ids_static tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 120
chmod 755 /lab /lab/bin
as_nobody() { su -s /bin/sh nobody -c "PATH=$PATH; cd /tmp; $*"; }
bare=$(as_nobody made_code)
levelled=$(cpulevel run --level x86-64-v2 -- made_code)
differ differs "$bare" "$levelled"
equal nobody "$levelled" "$(as_nobody "cpulevel run --level x86-64-v2 -- made_code")"
equal nobody_says_nothing "" "$(as_nobody "cpulevel run --level x86-64-v2 -- true 2>&1")"
equal nobodys_children "$levelled" "$(as_nobody "cpulevel run --level x86-64-v2 -- sh -c 'sh -c \"made_code; true\"'")"
calls() { sed 's/\(answered\).*/\1/'; }
equal nobodys_virtual_faulting "$(arch_cpuid | calls)" "$(as_nobody "cpulevel run --level x86-64-v2 -- arch_cpuid" | calls)"
equal becomes_nobody "$levelled" "$(cpulevel run --level x86-64-v2 -- su -s /bin/sh nobody -c /lab/bin/made_code)"

# Set-user-ID: root's supervisor lets it be root, nobody's cannot (the kernel's rule for tracers); the level holds for both.
cp /lab/bin/print_ids_static /tmp/setuid
chmod 4755 /tmp/setuid
leaf7() { sed -n 's/^leaf7.ebx=//p'; }
as_nobody /tmp/setuid >bare
cpulevel run --level x86-64-v2 -- su -s /bin/sh nobody -c /tmp/setuid >by_root
as_nobody "cpulevel run --level x86-64-v2 -- /tmp/setuid" >by_nobody
equal setuid_bare "euid=0" "$(grep euid bare)"
equal setuid_by_root "euid=0" "$(grep euid by_root)"
equal setuid_by_nobody "euid=65534" "$(grep euid by_nobody)"
for who in by_root by_nobody; do
    equal "setuid_level_$who" 0 $(($(leaf7 <$who) & 0x20))
done
