package wire

import (
	"syscall"
	"unsafe"
)

// silent reports whether a read of the socket would wait.
func silent(fd int) bool {
	var b [1]byte
	for { // not syscall.Recvfrom, which allocates an address
		_, _, e := syscall.Syscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		if e != syscall.EINTR {
			return e == syscall.EAGAIN
		}
	}
}
