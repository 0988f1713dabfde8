package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsANSI tells whether a terminal moves its cursor on request, which a console
// has to be asked for.
func understandsANSI(f *os.File) bool {
	var mode uint32
	handle := windows.Handle(f.Fd())
	if windows.GetConsoleMode(handle, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
