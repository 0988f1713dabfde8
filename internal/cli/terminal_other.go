//go:build !windows

package cli

import "os"

// understandsANSI tells whether a terminal moves its cursor on request.
func understandsANSI(*os.File) bool { return true }
