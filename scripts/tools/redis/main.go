// Command redis is a Redis server for Argo CD, which keeps what it can make again there: nothing is
// written to disk, and it ends with its process.
//
//	redis --address=127.0.0.1:6379
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	address := flag.String("address", "127.0.0.1:6379", "where to listen")
	flag.Parse()
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(*address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Its keys expire only as its clock is moved, which tests of programs want.
	for range time.Tick(time.Second) {
		server.FastForward(time.Second)
	}
}
