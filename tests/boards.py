"""What the kernels of some boards tell, by path: enough of it to recognise them."""

from pathlib import Path

PI4_CORE = """processor	: {0}
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

"""
PI4 = {
    "proc/cpuinfo": "".join(map(PI4_CORE.format, range(4))) + "Revision	: c03114\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/meminfo": "MemTotal:        3884328 kB\nMemAvailable:    3120000 kB\nSwapTotal:        204796 kB\n",
    "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-v8\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "sys/devices/system/cpu/present": "0-3\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    **{f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "600000\n" for core in range(3)},
    "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "1800000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48686\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}

VOLTAGE_ALONE = {
    **{name: text for name, text in PI4.items() if "throttled" not in name},
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
}
"""A Raspberry Pi 4 with Debian's kernel."""

JETSON_CORE = """processor	: {0}
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU part	: 0xd42

"""
JETSON = {
    "proc/cpuinfo": "".join(map(JETSON_CORE.format, range(6))),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
    "proc/meminfo": "MemTotal:        7802448 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "47500\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "61000\n",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device1/cur_state": "3\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5000\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "1200\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in2_input": "5000\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr2_input": "500\n",
}

_NANO_INA = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
JETSON_NANO = {
    "proc/device-tree/compatible": "nvidia,jetson-nano\0nvidia,p3450-0000\0nvidia,tegra210\0",
    "sys/class/thermal/thermal_zone0/type": "AO-therm\n",
    "sys/class/thermal/thermal_zone0/temp": "42500\n",
    "sys/class/thermal/thermal_zone1/type": "CPU-therm\n",
    "sys/class/thermal/thermal_zone1/temp": "35500\n",
    "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    f"{_NANO_INA}/rail_name_0": "POM_5V_IN\n",
    f"{_NANO_INA}/in_power0_input": "2400\n",
    f"{_NANO_INA}/rail_name_1": "POM_5V_GPU\n",
    f"{_NANO_INA}/in_power1_input": "120\n",
    f"{_NANO_INA}/rail_name_2": "POM_5V_CPU\n",
    f"{_NANO_INA}/in_power2_input": "640\n",
}
"""With NVIDIA's Linux 4.9."""

_AGX_INA = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
JETSON_AGX = {
    "proc/device-tree/compatible": "nvidia,p3701\0nvidia,tegra234\0",
    f"{_AGX_INA}/in1_label": "VDD_GPU_SOC\n",
    f"{_AGX_INA}/in2_label": "VDD_CPU_CV\n",
    f"{_AGX_INA}/in3_label": "VIN_SYS_5V0\n",
    **{f"{_AGX_INA}/{name}{number}_input": "5000\n" for name in ("in", "curr") for number in (1, 2, 3)},
}

X86_CORE = """processor	: {0}
vendor_id	: GenuineIntel
model name	: 12th Gen Intel(R) Core(TM) i5-1240P
cpu MHz		: 1800.{0}00
flags		: fpu vme sse2 fma avx2 avx_vnni{1}

"""
X86 = {
    "proc/cpuinfo": "".join(X86_CORE.format(core, " avx512f" if core else "") for core in range(2)),
    "proc/meminfo": "MemTotal:       16077844 kB\nMemAvailable:   9000000 kB\nSwapTotal:             0 kB\n",
    "sys/class/dmi/id/sys_vendor": "LENOVO\n",
    "sys/class/dmi/id/product_name": "21CB\n",
    "sys/class/thermal/thermal_zone0/type": "acpitz\n",
    "sys/class/thermal/thermal_zone0/temp": "70000\n",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone1/temp": "52000\n",
    "sys/class/hwmon/hwmon3/name": "coretemp\n",
    "sys/class/hwmon/hwmon3/temp1_input": "55000\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "0\n",
    "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "7\n",
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "900000\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "1000000\n",
    "sys/class/powercap/intel-rapl:0:0/name": "core\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "500000\n",
    "sys/class/powercap/intel-rapl:0:0/max_energy_range_uj": "1000000\n",
    "sys/class/powercap/intel-rapl:1/name": "psys\n",
    "sys/class/powercap/intel-rapl:1/energy_uj": "700000\n",
    "sys/class/powercap/intel-rapl:1/max_energy_range_uj": "1000000\n",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write the files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root
