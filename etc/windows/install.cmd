@echo off
rem Installs RAID Manager for Windows. Run it as an administrator, from the unpacked folder:
rem
rem   install.cmd [DIR]
rem
rem Programs and commands go to %SystemDrive%\HORCM\etc, the shadow copy provider, where it is part
rem of this folder, to DIR\HITACHI\VSS Provider; DIR is "%ProgramFiles%" unless it is named. A second
rem run replaces what is there; configurations, keys and logs are kept.
setlocal
set FROM=%~dp0
set ROOT=%SystemDrive%\HORCM
set DIR=%ProgramFiles%
if not "%~1"=="" set DIR=%~1
set PROVIDER=%DIR%\HITACHI\VSS Provider

mkdir "%windir%\horcm.try" 2>nul
if errorlevel 1 goto refused
rmdir "%windir%\horcm.try"

rem A provider that is loaded cannot be replaced.
if exist "%FROM%HORCM\Tool\RMVSSPRV.dll" net STOP "Volume Shadow Copy"

if exist "%ROOT%\etc\horcm.exe" for /f %%n in ('"%ROOT%\etc\horcm.exe" --list') do del /q "%ROOT%\etc\%%n.exe" 2>nul
for %%d in ("%ROOT%" "%ROOT%\etc" "%ROOT%\etc\samples" "%ROOT%\Tool") do if not exist %%d mkdir %%d
copy /y "%FROM%HORCM\etc\*.exe" "%ROOT%\etc\" >nul
if errorlevel 1 goto failed
copy /y "%FROM%HORCM\etc\samples\*" "%ROOT%\etc\samples\" >nul
if errorlevel 1 goto failed
copy /y "%FROM%*.cmd" "%ROOT%\Tool\" >nul
copy /y "%FROM%*.vbs" "%ROOT%\Tool\" >nul
"%ROOT%\etc\horcm.exe" link "%ROOT%\etc"
if errorlevel 1 goto failed

rem Anybody may make things below the root of a drive; from here on administrators only.
icacls "%ROOT%" /inheritance:r /grant *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F *S-1-5-32-545:(OI)(CI)RX >nul
if errorlevel 1 echo install.cmd: the access list of %ROOT% was not set: see that only administrators can write there

if not exist "%FROM%HORCM\Tool\RMVSSPRV.dll" goto done
if not exist "%PROVIDER%" mkdir "%PROVIDER%"
copy /y "%FROM%HORCM\Tool\RMVSSPRV.dll" "%PROVIDER%\" >nul
if errorlevel 1 goto failed
regsvr32 /s "%PROVIDER%\RMVSSPRV.dll"
if errorlevel 1 goto unregistered
cscript //nologo "%FROM%register_app.vbs" /register
if errorlevel 1 goto unregistered
net START "Volume Shadow Copy"
echo The provider is installed; `vssadmin list providers` names it.

:done
echo RAID Manager is installed in %ROOT%. Put %ROOT%\etc on the PATH, and configurations into %windir%: horcm50.conf for instance 50.
exit /b 0

:refused
echo install.cmd: run it as an administrator
exit /b 1

:unregistered
echo install.cmd: the programs are installed, but the provider is not registered: it needs Windows Server
net START "Volume Shadow Copy"
exit /b 2

:failed
echo install.cmd: a file could not be copied: end every instance with horcmshutdown and run it again
exit /b 1
