// Go's buffered channel with the same events, producers and capacity as bench/tracker/promise.cpp; one line like its.
// With "lesson CAPACITY": one producer, a million integers, five workers; a line of bench/tracker/capacity.
package main

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type event struct {
	id   string
	time time.Time
	data string
}

var (
	prefix = func() string {
		var random [10]byte
		rand.Read(random[:])
		return base32.StdEncoding.EncodeToString(random[:])
	}()
	count uint64
	body  = strings.Repeat("x", 200)
)

func makeEvent() event {
	return event{prefix + strconv.FormatUint(atomic.AddUint64(&count, 1), 36), time.Now(), strings.Clone(body)}
}

func cpu() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func lesson(capacity int) {
	const million = 1000000
	before, began := cpu(), time.Now()
	queue := make(chan string, capacity)
	var taken uint64
	var wait sync.WaitGroup
	for i := 0; i < 5; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			n := uint64(0)
			for range queue {
				n++
			}
			atomic.AddUint64(&taken, n)
		}()
	}
	for i := 0; i < million; i++ {
		queue <- strconv.Itoa(i)
	}
	close(queue)
	wait.Wait()
	if taken != million {
		panic("events are missing")
	}
	fmt.Printf("channel,%d,%d,%.0f\n", capacity, time.Since(began).Nanoseconds()/million, (cpu()-before)*1e9/million)
}

func main() {
	if os.Args[1] == "lesson" {
		capacity, _ := strconv.Atoi(os.Args[2])
		lesson(capacity)
		return
	}
	producers, _ := strconv.Atoi(os.Args[1])
	events, _ := strconv.Atoi(os.Args[2])
	before, began := cpu(), time.Now()
	queue := make(chan event, 4096)
	var wait sync.WaitGroup
	for i := 0; i < producers; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for k := 0; k < events/producers; k++ {
				queue <- makeEvent()
			}
		}()
	}
	go func() { wait.Wait(); close(queue) }()
	taken := 0
	for range queue {
		taken++
	}
	fmt.Printf("go_channel %.3f %d %.3f\n", time.Since(began).Seconds(), taken, cpu()-before)
}
