// Package testagents is the proof of package apm against real agents: services with the
// Go agent of Elastic APM and with OpenTelemetry are put under load, first as they are,
// then with faults put in between on purpose. Each must be found, and counted exactly.
package testagents
