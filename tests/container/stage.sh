# Containers at one place, on a real or an emulated machine alike (tests/travel/cases.sh has what a case is). What a container is
# made of travels in its folder: runc's bundle and CRIU's images, or podman's export and the image that it names.
# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# shellcheck source=tests/travel/cases.sh
. /travel/cases.sh

# runc pivots to the container's root, which the kernel refuses on an initramfs: there the system goes on from a tmpfs.
case ${SYSTEM:-} in
    '')
        SYSTEM=disk
        if grep -q ' / rootfs ' /proc/mounts; then
            export SYSTEM=initramfs
            exec unshare -m sh /travel/stage.sh
        fi ;;
    initramfs)
        mkdir /system
        mount -t tmpfs -o mode=755 system /system
        cp -a /bin /etc /lib /lib64 /sbin /usr /system
        for mounted in dev proc run sys travel; do
            mkdir "/system/$mounted"
            mount --rbind "/$mounted" "/system/$mounted"
        done
        mkdir -m 1777 /system/tmp
        mkdir /system/var
        cd /system || exit 1
        mount --move . /
        SYSTEM=tmpfs
        exec chroot . sh /travel/stage.sh ;;
esac

# All that engines keep goes away with the stage, also where the system's folder stays.
CGROUPS=/sys/fs/cgroup/cpulevel-test
mkdir -p /etc/criu
mount -t tmpfs criu /etc/criu
mount -t tmpfs var /var
mkdir -p /var/tmp /var/lib /run/before
mount -t cgroup2 cgroup2 /sys/fs/cgroup || echo "failed - there is no cgroup version 2"
mkdir -p "$CGROUPS"

# podman passes no environment on to CRIU: CRIU_FAULT (steps.sh) goes this way.
printf '#!/bin/sh\nCRIU_FAULT=%s exec /usr/sbin/criu "$@"\n' "$CRIU_FAULT" >/run/before/criu
chmod 755 /run/before/criu
PATH=/run/before:/travel/bin:/usr/sbin:/usr/bin:/bin
export HOME=/run

# What an administrator writes on each machine. Without the second line CRIU restores nothing that comes from a CPU with XSAVE to one
# without it; without the third nothing that comes from a machine with hierarchies of cgroup version 1 to one without them.
cat >/etc/criu/runc.conf <<'END'
action-script /travel/bin/cpulevel
cpu-cap=none
manage-cgroups=ignore
END
cat >/run/containers.conf <<'END'
[containers]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
cat >/run/storage.conf <<'END'
[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
END
export CONTAINERS_CONF=/run/containers.conf CONTAINERS_STORAGE_CONF=/run/storage.conf

end() {
    case $name in
        runc*) runc delete --force "$name" ;;
        podman*) podman rm --force --time 0 --ignore "$name" ;;
    esac >/dev/null 2>&1
}

# The container's file system.
make_root() {
    mkdir -p "$folder/images" "$folder/rootfs/bin" "$folder/rootfs/data" "$folder/rootfs/proc"
    cp /travel/bin/busybox /travel/bin/cpulevel "/travel/bin/$program" "$folder/rootfs/bin"
    ln -s busybox "$folder/rootfs/bin/sh"
}

command_words() { if [ "$level" = - ]; then echo "/bin/$program"; else echo "/bin/cpulevel run --level $level -- /bin/$program"; fi; }

# The container works, under its level where it has one. FILE has the number of its first process, which `cpulevel run` is then.
works_here() {  # FILE
    pid=$(cat "$1")
    [ "$level" != - ] || return 0
    pid=$(supervised_child "$pid")
    [ -n "$pid" ] || { fail "it is not supervised"; return; }
    levelled "in its container"
}

starts() { until_done 60 is_working || fail "it does not start"; }

# Where the program is, and what it writes; podman writes its log to folder/output until the checkpoint.
is_in_bundle() { data=$folder/rootfs/data output=$folder/rootfs/data/output; }
is_in_podman() { data=$(podman mount "$name")/data; }

depart_runc() {
    is_in_bundle
    make_root
    (cd "$folder" && runc spec)
    # Output goes to a file of the container: one outside of it CRIU would not find again.
    sed -i -e 's|"terminal": true|"terminal": false|' -e 's|"readonly": true|"readonly": false|' -e 's|"cwd": "/"|"cwd": "/data"|' \
        -e "s|\"sh\"\$|\"/bin/sh\", \"-c\", \"exec $(command_words) >output 2>\&1\"|" \
        -e "s|\"linux\": {|&\"cgroupsPath\": \"/${CGROUPS##*/}/$name\",|" "$folder/config.json"
    gives 0 runc run --detach --bundle "$folder" --pid-file "$folder/pid" "$name" || return
    starts && works_here "$folder/pid" || return
    gives 0 runc checkpoint --image-path "$folder/images" --work-path "$folder/images" "$name" || return
    [ ! -d "/proc/$pid" ] || fail "it is still there"
}

# OPERATION is `runc`, or what runs it.
restore_runc() {  # OPERATION...
    "$@" restore --detach --bundle "$folder" --pid-file "$folder/restored" --image-path "$folder/images" --work-path "$folder/images" \
        "$name"
}

arrive_runc() {
    is_in_bundle
    gives 0 restore_runc runc && works_here "$folder/restored" && goes_on "on this CPU"
}

# The control is restored in the same way, and ends as soon as it runs.
dies_runc() {
    is_in_bundle
    # guardian (tests/travel) gets the restored process as its child, and sees its end.
    gives 0 restore_runc guardian 60 "$folder/restored" "$data/arrived" runc && says '^signal 4$'
}

refused_runc() {
    is_in_bundle
    gives 1 restore_runc runc || return
    grep -q "cpulevel: this machine may not take the checkpoint.*avx2" "$folder/images/restore.log" ||
        { fail "the script does not say why"; return; }
    [ ! -e "$folder/restored" ] || fail "it was restored"
}

depart_podman() {
    make_root
    tar -c -f "$folder/root.tar" -C "$folder/rootfs" .
    # shellcheck disable=SC2046
    gives 0 podman import "$folder/root.tar" "$name" && gives 0 podman save --output "$folder/image.tar" "$name" &&
        gives 0 podman run --detach --name "$name" --network none --cgroup-parent "/${CGROUPS##*/}" --workdir /data \
            --pidfile "$folder/pid" --log-driver k8s-file --log-opt "path=$folder/output" "$name" $(command_words) || return
    is_in_podman
    starts && works_here "$folder/pid" || return
    gives 0 podman container checkpoint --export "$folder/$name.tar.gz" "$name" || return
    [ ! -d "/proc/$pid" ] || { fail "it is still there"; return; }
    rm -rf "$folder/rootfs" "$folder/root.tar"
}

podman_restore() {
    podman container restore --import "$folder/$name.tar.gz" && return
    status=$?
    cp /var/lib/containers/storage/vfs-containers/*/userdata/restore.log "$folder/images" 2>/dev/null
    return "$status"
}

# An export has what the container changed in its image, not the image: podman looks for it by its digest, which `import` would change.
restore_podman() {
    gives 0 podman load --input "$folder/image.tar" && gives 0 podman_restore
}

arrive_podman() {
    restore_podman || return
    podman inspect --format '{{.State.Pid}}' "$name" >"$folder/restored"
    is_in_podman
    works_here "$folder/restored" || return
    touch "$data/arrived"
    gives 0 timeout 60 podman wait "$name" && says '^0$' && gives 0 podman logs "$name" && says '^passed$'
}

dies_podman() {
    restore_podman && gives 0 timeout 60 podman wait "$name" && says '^132$'  # 128 and SIGILL
}

leave_cgroups() {
    find "$CGROUPS" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ ! -d "$CGROUPS" ]
}

play_cases
until_done 20 leave_cgroups || echo "failed - cgroups are left: $(find "$CGROUPS" -type d | tr '\n' ' ')"
