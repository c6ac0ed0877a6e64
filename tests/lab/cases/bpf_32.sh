# The BPF engine and programs of both word sizes.
# machines: haswell haswell-6.12 cortex-a72 cortex-a72-6.12
# programs: src/cli/cpulevel tests/proof/proof tests/proof/proof_32 tests/bpf/bpf_events tests/bpf/bpf_actor tests/bpf/bpf_actor_32
# time: 400
mount -t bpf bpf /sys/fs/bpf
chmod 755 /lab /lab/bin
for order in "proof proof_32" "proof_32 proof"; do
    set -- $order
    sh -c 'cpulevel attach --tree $$ --inherit && /lab/bin/$0 --other /lab/bin/$1 >/tmp/proof.txt; echo $? >/tmp/proof.status; cpulevel detach --tree $$' "$@" >/dev/null 2>&1
    equal "$1" 0 "$(cat /tmp/proof.status)"
    sed -n 's/^FAILED/proof said: &/p' /tmp/proof.txt
done
for seed in 11 12; do
    mkdir /tmp/events$seed
    succeeds events_$seed bpf_events --folder /tmp/events$seed --actor /lab/bin/bpf_actor --other /lab/bin/bpf_actor_32 --seed $seed --steps 1200
done
