// Kubeadm prints the version that kubeadm would install for a label such as stable-1.
//
//	kubeadm LABEL
package main

import (
	"fmt"
	"os"

	"k8s.io/kubernetes/cmd/kubeadm/app/util"
)

func main() {
	version, err := util.KubernetesReleaseVersion(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(version)
}
