//go:build !unix && !windows

package loadgen

// useOfProcess is not known here: the verdict then leaves CPU and GC out.
func useOfProcess() processUse { return processUse{} }
