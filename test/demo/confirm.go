package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"k8s.io/client-go/tools/clientcmd"
)

// runConfirm stands before a demo on a cluster that the user named: operator and load go to a place that may matter to somebody.
func runConfirm(args []string) error {
	flags := flag.NewFlagSet("confirm", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "do not ask")
	if err := parse(flags, args); err != nil {
		return err
	}
	where, err := describeContext()
	if err != nil {
		return err
	}
	fmt.Printf("%s\nmake demo installs there the CRD and the operator (namespace gracefulapp-system), runs up to 12 pods and\n"+
		"some %d requests per second in the namespace %s, and leaves all but the load there.\n", where, ratePerWorkload*2, namespace)
	if *yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("this is another cluster than the embedded one and nobody can be asked: confirm with --yes")
	}
	return ask(os.Stdin, os.Stdout)
}

func ask(in io.Reader, out io.Writer) error {
	fmt.Fprint(out, "Go on? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed, nothing was done")
}

func describeContext() (string, error) {
	raw, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return "", fmt.Errorf("reading KUBECONFIG: %w", err)
	}
	current, ok := raw.Contexts[raw.CurrentContext]
	if !ok {
		return "", fmt.Errorf("KUBECONFIG has no current context (current-context: %q)", raw.CurrentContext)
	}
	cluster, ok := raw.Clusters[current.Cluster]
	if !ok {
		return "", fmt.Errorf("context %q names the cluster %q, which KUBECONFIG does not describe", raw.CurrentContext, current.Cluster)
	}
	return fmt.Sprintf("context  %s\ncluster  %s\nserver   %s\nuser     %s\n",
		raw.CurrentContext, current.Cluster, cluster.Server, current.AuthInfo), nil
}
