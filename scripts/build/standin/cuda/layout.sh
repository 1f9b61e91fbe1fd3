#!/bin/sh
# Lays the files of NVIDIA's wheels out as its Debian packages do: layout.sh toolkit|cudnn, with the build context on /mnt.
set -eu
wheels=/mnt/wheels
cuda=/usr/local/cuda-12.1
target=$cuda/targets/x86_64-linux

# Gives every libX.so.N in a directory the libX.so that linkers look for.
link_libraries() {
    find "$1" -maxdepth 1 -type f -name "$2" | while read -r library; do
        ln -sf "${library##*/}" "${library%%.so.*}.so"
    done
}

lay_out_toolkit() {
    mkdir -p "$cuda/bin" "$target/include" "$target/lib"
    for package in "$wheels"/nvidia/*/; do
        case $package in */cudnn/) continue ;; esac
        for part in include lib; do
            if [ -d "$package$part" ]; then cp -R --preserve=timestamps "$package$part/." "$target/$part/"; fi
        done
    done
    cp -R --preserve=timestamps "$wheels/nvidia/cuda_nvcc/nvvm" "$cuda/nvvm"
    cp --preserve=timestamps "$wheels/nvidia/cuda_nvcc/bin/ptxas" "$cuda/bin/ptxas"
    cp --preserve=timestamps "$wheels"/nvidia_cuda_nvcc_cu12-*.dist-info/License.txt "$cuda/EULA.txt"
    chmod 755 "$cuda/bin/ptxas"
    find "$cuda" -name __init__.py -delete
    mkdir -p "$target/lib/stubs"
    link_libraries "$target/lib" 'lib*.so.*'
    ln -s targets/x86_64-linux/include "$cuda/include"
    ln -s targets/x86_64-linux/lib "$cuda/lib64"
    ln -s cuda-12.1 /usr/local/cuda
    printf '%s\n' /usr/local/cuda/targets/x86_64-linux/lib >/etc/ld.so.conf.d/000_cuda.conf
    printf '%s\n' /usr/local/nvidia/lib /usr/local/nvidia/lib64 >/etc/ld.so.conf.d/nvidia.conf
}

lay_out_cudnn() {
    cp --preserve=timestamps "$wheels"/nvidia/cudnn/include/*.h /usr/include/
    cp --preserve=timestamps "$wheels"/nvidia/cudnn/lib/*.so.* /usr/lib/x86_64-linux-gnu/
    mkdir -p /usr/share/doc/libcudnn8
    cp --preserve=timestamps "$wheels"/nvidia_cudnn_cu12-*.dist-info/License.txt /usr/share/doc/libcudnn8/copyright
    link_libraries /usr/lib/x86_64-linux-gnu 'libcudnn*.so.*'
}

"lay_out_$1"
ldconfig
rm -f /var/cache/ldconfig/aux-cache
