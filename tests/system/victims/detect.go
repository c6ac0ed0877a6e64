// What the Go runtime found out about the CPU (a static program, without libc), and CPUID of leaf 7 by an
// instruction of its own. Works on several threads.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"sync"
	_ "unsafe"
)

//go:linkname hasFMA runtime.x86HasFMA
var hasFMA bool

//go:linkname hasPOPCNT runtime.x86HasPOPCNT
var hasPOPCNT bool

func main() {
	fmt.Printf("fma=%t\npopcnt=%t\n", hasFMA, hasPOPCNT)
	var group sync.WaitGroup
	sums := make([][32]byte, 8)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			sums[i] = sha256.Sum256(make([]byte, 1<<20+i))
		}(i)
	}
	group.Wait()
	for _, sum := range sums {
		fmt.Printf("sum=%x\n", sum)
	}
	// A nil pointer: Go's runtime turns the SIGSEGV into a panic.
	func() {
		defer func() { fmt.Printf("recovered=%v\n", recover()) }()
		var nowhere *[4]int
		fmt.Println(nowhere[2])
	}()
	if len(os.Args) > 1 {
		out, err := exec.Command(os.Args[1], os.Args[2:]...).CombinedOutput()
		fmt.Printf("error=%v\n%s", err, out)
	}
}
