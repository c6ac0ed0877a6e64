// What Rust's std found out about the CPU.
fn main() {
    println!("sse2={}", std::is_x86_feature_detected!("sse2"));
    println!("sse4.2={}", std::is_x86_feature_detected!("sse4.2"));
    println!("popcnt={}", std::is_x86_feature_detected!("popcnt"));
    println!("aes={}", std::is_x86_feature_detected!("aes"));
    println!("avx={}", std::is_x86_feature_detected!("avx"));
    println!("avx2={}", std::is_x86_feature_detected!("avx2"));
    println!("fma={}", std::is_x86_feature_detected!("fma"));
    println!("bmi2={}", std::is_x86_feature_detected!("bmi2"));
    println!("avx512f={}", std::is_x86_feature_detected!("avx512f"));
    let threads: Vec<_> = (0..4u64)
        .map(|i| std::thread::spawn(move || (0..1_000_000u64).fold(i, |sum, x| sum.wrapping_mul(31).wrapping_add(x))))
        .collect();
    for thread in threads {
        println!("sum={}", thread.join().unwrap());
    }
}
