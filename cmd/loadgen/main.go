// Command loadgen generates HTTP load from a terminal, a pipeline or as a service. Run
// loadgen help for its commands.
package main

import "github.com/opbeans/loadgen/internal/cli"

func main() { cli.Commands().Main() }
