// Command cluster builds and runs a real two-node Kubernetes cluster on this machine. It needs the Go module proxy and a few Debian
// packages, and neither Docker nor images of a registry. See README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/binaries"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cluster"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
)

func main() {
	machine.UseSystemPath()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var name string
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Build and run a real two-node Kubernetes cluster on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return instance.CheckName(name)
		},
	}
	root.PersistentFlags().StringVar(&name, "name", nameFromEnvironment(), "name of the cluster (environment: CLUSTER)")
	root.AddCommand(
		&cobra.Command{
			Use: "build", Short: "Build the binaries, unless they are in the user's cache", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := binaries.Ensure(c.Context())
				return err
			},
		},
		&cobra.Command{
			Use: "bin-dir", Short: "Print the folder of the binaries (etcd, kube-apiserver, kubectl, ...); build them if necessary", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				dir, err := binaries.Ensure(c.Context())
				if err == nil {
					fmt.Println(dir)
				}
				return err
			},
		},
		&cobra.Command{
			Use: "up", Short: "Create the cluster, or start its stopped nodes", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return cluster.Up(c.Context(), name) },
		},
		&cobra.Command{
			Use: "down", Short: "Remove the cluster: processes, mounts, namespaces, cgroups, links and state", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return cluster.Down(c.Context(), name) },
		},
		&cobra.Command{
			Use: "env", Short: `Print shell commands that set KUBECONFIG and more, for eval "$(cluster env)"`, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return cluster.Env(os.Stdout, name) },
		},
		&cobra.Command{
			Use: "load TAR...", Short: "Import images from docker or OCI archives into both nodes", Args: cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, archives []string) error {
				names, err := cluster.Load(c.Context(), name, archives)
				for _, n := range names {
					fmt.Println(n)
				}
				return err
			},
		},
		&cobra.Command{
			Use: "status", Short: "Show the state of all components; fail unless all are ready", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return cluster.PrintStatus(os.Stdout, name) },
		},
		superviseCommand(&name),
	)
	return root
}

// superviseCommand returns the hidden command that `up` starts in a node's namespaces.
func superviseCommand(name *string) *cobra.Command {
	var n int
	c := &cobra.Command{
		Use: "supervise", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			i, err := instance.Open(*name)
			if err != nil {
				return err
			}
			return node.Supervise(i, n)
		},
	}
	c.Flags().IntVar(&n, "node", 0, "number of the node")
	return c
}

func nameFromEnvironment() string {
	if name := os.Getenv("CLUSTER"); name != "" {
		return name
	}
	return "dev"
}
