// loopcsi is a CSI driver for tests. Its volumes are image files, attached as loop devices with ext4 to one node at a
// time, as a cloud's disks are. One process is the controller; each node has one of its own.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driver = "loop.csi.test"

func main() {
	folder := flag.String("disks", "", "folder of the image files and of the notes who has attached them")
	socket := flag.String("socket", "", "socket to listen on")
	node := flag.String("node", "", "name of the node; empty: this is the controller")
	registration := flag.String("registration", "", "the kubelet's plugins_registry folder (node only)")
	flag.Parse()

	if *node == "" {
		if err := os.MkdirAll(*folder, 0o700); err != nil {
			log.Fatal(err)
		}
		serve(*socket, func(s *grpc.Server) {
			csi.RegisterIdentityServer(s, identity{})
			csi.RegisterControllerServer(s, &controller{disks: disks{folder: *folder}})
		})
	}
	go serve(filepath.Join(*registration, driver+"-reg.sock"), func(s *grpc.Server) {
		registerapi.RegisterRegistrationServer(s, registrar{endpoint: *socket})
	})
	serve(*socket, func(s *grpc.Server) {
		csi.RegisterIdentityServer(s, identity{})
		csi.RegisterNodeServer(s, nodeServer{name: *node})
	})
}

// serve answers on a unix socket until the process ends.
func serve(socket string, register func(*grpc.Server)) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		log.Fatal(err)
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	register(server)
	log.Fatal(server.Serve(listener))
}

// logged writes every call that changes something to the log.
func logged(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	response, err := handle(ctx, request)
	if method := filepath.Base(info.FullMethod); method != "Probe" && !strings.Contains(method, "Capabilities") {
		log.Printf("%s %v -> %v %v", method, request, response, err)
	}
	return response, err
}
