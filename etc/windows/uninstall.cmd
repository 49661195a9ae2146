@echo off
rem Takes RAID Manager for Windows out again. Run it as an administrator:
rem
rem   uninstall.cmd [DIR]
rem
rem DIR is the one of install.cmd. Configurations, keys and logs stay; remove C:\HORCM by hand if
rem they are not wanted any more.
setlocal
set ROOT=%SystemDrive%\HORCM
set DIR=%ProgramFiles%
if not "%~1"=="" set DIR=%~1
set PROVIDER=%DIR%\HITACHI\VSS Provider

mkdir "%windir%\horcm.try" 2>nul
if errorlevel 1 goto refused
rmdir "%windir%\horcm.try"

if not exist "%PROVIDER%\RMVSSPRV.dll" goto programs
net STOP "Volume Shadow Copy"
cscript //nologo "%~dp0register_app.vbs" /unregister
regsvr32 /s /u "%PROVIDER%\RMVSSPRV.dll"
del /q "%PROVIDER%\RMVSSPRV.dll"
if exist "%PROVIDER%\RMVSSPRV.dll" goto failed
rmdir "%PROVIDER%" 2>nul
net START "Volume Shadow Copy"

:programs
del /q "%ROOT%\etc\drmexgbackup.exe" 2>nul
if exist "%ROOT%\etc\drmexgbackup.exe" goto failed
if not exist "%ROOT%\etc\horcm.exe" goto done
for /f %%n in ('"%ROOT%\etc\horcm.exe" --list') do del /q "%ROOT%\etc\%%n.exe" 2>nul
del /q "%ROOT%\etc\horcmd.exe"
if exist "%ROOT%\etc\horcmd.exe" goto failed
del /q "%ROOT%\etc\horcm.exe"
if exist "%ROOT%\etc\horcm.exe" goto failed

:done
echo RAID Manager is uninstalled. What is in %ROOT% otherwise, and the configurations in %windir%, stay.
exit /b 0

:refused
echo uninstall.cmd: run it as an administrator
exit /b 1

:failed
echo uninstall.cmd: a file is in use: end every instance with horcmshutdown and run it again
exit /b 1
