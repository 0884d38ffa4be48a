// A service to compare benchmarks with, in a module of its own so that relcheck does
// not depend on it.
module relcheck/tools/peer

go 1.26.0

require github.com/longhorn/upgrade-responder v0.1.5

require (
	github.com/Masterminds/semver v1.5.0 // indirect
	github.com/Sirupsen/logrus v0.10.0 // indirect
	github.com/gorilla/mux v1.8.0 // indirect
	github.com/influxdata/influxdb v1.8.5 // indirect
	github.com/oschwald/maxminddb-golang v1.8.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/sys v0.0.0-20200107162124-548cf772de50 // indirect
)
