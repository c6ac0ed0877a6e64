// Implicit null checks: HotSpot compiles them to a load that faults, and its SIGSEGV handler makes the exception of it.
// java NullChecks.java N
public class NullChecks {
    static final class Box {
        int value = 1;
    }

    static int read(Box box) {
        return box.value;
    }

    public static void main(String[] arguments) {
        int count = Integer.parseInt(arguments[0]), caught = 0;
        Box box = new Box();
        long sum = 0;
        for (int i = 0; i < 2_000_000; ++i) sum += read(box);
        for (int i = 0; i < count; ++i) {
            try {
                sum += read(i % 100 == 0 ? null : box);
            } catch (NullPointerException expected) {
                ++caught;
            }
        }
        if (sum == 0 || caught != (count + 99) / 100) System.exit(1);
    }
}
