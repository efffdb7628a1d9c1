package docker

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Published ports lie below the range from which systems take the ports of outgoing connections: there, a
// stranger's connection could hold the port while its container is stopped.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort returns a port of 127.0.0.1 on which nothing listens now.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
