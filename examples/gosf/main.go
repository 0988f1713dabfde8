// Command gosf steers a running load generator from a gosf program: it starts a
// job, shows what happens to it, makes it stronger, and stops it. The server and a
// target for the job must run, for instance by `make run`.
package main

import (
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/ambelovsky/gosf"

	"github.com/opbeans/loadgen/socketio/gosfclient"
)

func main() {
	host := flag.String("host", "localhost", "host of the load generator")
	port := flag.Int("port", 8999, "port of the load generator")
	target := flag.String("target", "8000", "port of the service to load")
	wait := flag.Duration("for", 5*time.Second, "how long the job runs before and after the update")
	flag.Parse()
	if err := run(*host, *port, *target, *wait); err != nil {
		log.Fatal(err)
	}
}

func run(host string, port int, target string, wait time.Duration) error {
	stopped := make(chan struct{}, 1)
	watcher, err := gosfclient.Watch(host, port, false, func(job, change string) {
		fmt.Println("told of", job+":", change)
		if job == "gosf" && change == gosfclient.Stopped {
			select {
			case stopped <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	defer watcher.Close()

	if err := gosf.RegisterMicroservice("loadgen", host, port, false); err != nil {
		return err
	}
	defer gosf.DeregisterMicroservice("loadgen")
	client := gosfclient.New(gosf.GetMicroservice("loadgen"))

	if err := client.Start(gosfclient.Job{Job: "gosf", Port: target, Workers: 3}); err != nil {
		return err
	}
	<-time.After(wait)
	if err := client.Update(gosfclient.Job{Job: "gosf", Workers: 10}); err != nil {
		return err
	}
	jobs, err := client.List()
	if err != nil {
		return err
	}
	for name, j := range jobs {
		fmt.Printf("%s: scenario %s, %v workers, running: %t\n", name, j.Scenario, j.All["workers"], j.Running)
	}
	<-time.After(wait)
	if err := client.Stop("gosf"); err != nil {
		return err
	}
	select {
	case <-stopped:
	case <-watcher.Lost():
	}
	return nil
}
