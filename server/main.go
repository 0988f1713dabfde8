// Command server is the load generator as a service: the HTTP API over one Manager with
// its stream, metrics and web page, or, given OPBEANS_URLS without WS, a fixed set of jobs.
// Command loadgen is the same with commands for people at a terminal.
package main

import (
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/serve"
)

func main() { command.Program{serve.Command()}.Main() }
