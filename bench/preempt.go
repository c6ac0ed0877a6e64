// Go preempts goroutines that loop by SIGURG, about a hundred times a second for each CPU.
package main

import (
	"os"
	"strconv"
	"sync"
)

func main() {
	steps, _ := strconv.Atoi(os.Args[1])
	var group sync.WaitGroup
	results := make([]uint64, 8)
	for i := range results {
		group.Add(1)
		go func(at int) {
			defer group.Done()
			x := uint64(at + 1)
			for n := 0; n < steps; n++ {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
			results[at] = x
		}(i)
	}
	group.Wait()
	for _, each := range results {
		if each == 0 {
			os.Exit(1)
		}
	}
}
