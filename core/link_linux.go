package core

import (
	"syscall"
	"unsafe"
)

// Of linux/tcp.h and linux/sockios.h.
const (
	tcpNotsentLowat = 25
	siocOutq        = syscall.TIOCOUTQ
)

// boundUnsent has the kernel take no more than about n bytes that it cannot
// send yet, and wake the writer when half of them have left. Without it that
// happens when a third of some megabytes has.
func (l link) boundUnsent(n int) {
	_ = l.raw.Control(func(fd uintptr) { // a kernel that does not know it has other bounds
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, n)
	})
}

// held returns how many bytes the kernel holds that the peer has not acknowledged.
func (l link) held() int64 {
	if l.raw == nil {
		return 0
	}
	var n int32
	err := l.raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, siocOutq, uintptr(unsafe.Pointer(&n))); errno != 0 {
			n = 0
		}
	})
	if err != nil { // closed
		return 0
	}
	return int64(n)
}
