// Command server is the load generator as a program: a service with the HTTP API
// of httpapi over one Manager, or, given OPBEANS_URLS without WS, a fixed set of
// jobs without it.
package main

func main() { commands().main() }
